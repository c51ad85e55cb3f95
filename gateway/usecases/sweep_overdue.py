"""Judge the pairs whose deadline has passed."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.core.pairing import CompareOutcomes
from gateway.core.ports import LedgerWriter
from gateway.usecases.compare_pairs import judge_all

__all__ = ["sweep_overdue"]

_PAIRS_AT_ONCE = 500
_COMMIT_S = 2.0
"""An outcome stamped just before its deadline may still be on its way into the ledger for that long."""


async def sweep_overdue(
    *, ledger: LedgerWriter, compare: CompareOutcomes, now: datetime, deadline_s: float, known_until: datetime | None = None
) -> int:
    """How many overdue pairs were judged: missing where an outcome has not come, compared where a crash had kept them from it.

    `known_until` as in `judge_pair`. Raises `StoreUnavailable`.
    """
    judged = 0
    while pairs := await ledger.overdue((known_until or now) - timedelta(seconds=deadline_s + _COMMIT_S), _PAIRS_AT_ONCE):
        comparisons = await judge_all(pairs, compare=compare, now=now, deadline_s=deadline_s, known_until=known_until)
        await ledger.store(comparisons)
        judged += len(comparisons)
        if len(pairs) < _PAIRS_AT_ONCE or not comparisons:
            break
    return judged
