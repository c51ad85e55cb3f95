"""Put records in the ledger, and wake whoever waits for an outcome among them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dualrun.contracts import Outcome, Record
from gateway.core.ports import LedgerWriter, OutcomeNotices

__all__ = ["record_outcomes"]


async def record_outcomes(records: Sequence[Record], *, ledger: LedgerWriter, notices: OutcomeNotices, now: datetime) -> Sequence[str]:
    """The ids of the submissions the records belong to, once the records are in the ledger. Raises `StoreUnavailable`."""
    touched = await ledger.append(records, arrived_at=now)
    await notices.notify(list(dict.fromkeys(record.submission_id for record in records if isinstance(record, Outcome))))
    return touched
