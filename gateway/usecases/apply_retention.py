"""Drop what the ledger keeps no longer, little by little: whoever writes to it comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.core.ports import RetentionLedger

__all__ = ["ApplyRetention", "Retention"]

_AT_ONCE = 500
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things stay; None is for ever."""

    records: timedelta | None
    """Submissions, outcomes and comparisons, from when they were due; all but samples of differences."""
    hours: timedelta | None
    """What is counted by the hour; totals stay."""


class ApplyRetention:
    """One walk over what there is."""

    def __init__(self, ledger: RetentionLedger, retention: Retention, *, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._retention = retention
        self._now = now

    async def apply(self, stopping: asyncio.Event) -> int:
        """How many submissions were dropped, until none was left or `stopping` was set. Raises `StoreUnavailable`."""
        if self._retention.hours is not None:
            await self._ledger.drop_hours(self._now() - self._retention.hours)
        if self._retention.records is None:
            return 0
        before = self._now() - self._retention.records
        total, place = await self._ledger.drop_records(before, after=None, limit=_AT_ONCE)
        while place is not None and not stopping.is_set():
            await asyncio.sleep(_PAUSE_S)
            dropped, place = await self._ledger.drop_records(before, after=place, limit=_AT_ONCE)
            total += dropped
        if place is None:
            # Outcomes whose submission was lost are few: what is left of them is found the next time.
            await self._ledger.drop_orphans(before, limit=_AT_ONCE)
        return total
