"""What of the ledger is kept no longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = ["Place", "RetentionLedger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a walk over the submissions has come: they go by the time they were submitted, then by id."""

    submitted_at: datetime
    submission_id: str


class RetentionLedger(Protocol):
    """Drops what has aged. Every call may be repeated, and several processes may call at once."""

    async def drop_records(self, before: datetime, *, after: Place | None, limit: int) -> tuple[int, Place | None]:
        """Drop at most `limit` submissions that were due before then, with their outcomes and comparison.

        One that still waits for its comparison stays, and so does one that is a sample of a difference group. Gives how many were dropped,
        and where to go on; None once there are no more. Counters stay as they are. Raises `StoreUnavailable`.
        """
        ...

    async def drop_orphans(self, before: datetime, *, limit: int) -> int:
        """Drop at most `limit` outcomes that came before then and whose submission is not on record. Raises `StoreUnavailable`."""
        ...

    async def drop_hours(self, before: datetime) -> int:
        """Drop what was counted by the hour before then; totals of all time stay. Raises `StoreUnavailable`."""
        ...
