"""The loop beside a comparator."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from gateway.app.comparator import retention_of
from gateway.core.errors import StoreUnavailable
from gateway.core.ports import Place
from gateway.ledger import MemoryLedger
from gateway.retention import RetentionWatch
from gateway.settings import Settings
from gateway.usecases.apply_retention import ApplyRetention, Retention
from tests.support.eventually import becomes
from tests.support.records import NOON, a_record

pytestmark = pytest.mark.timeout(20)

RETENTION = Retention(records=timedelta(days=1), hours=timedelta(days=1))


class _Ailing(MemoryLedger):
    """Away at first, then broken, then well."""

    def __init__(self) -> None:
        super().__init__()
        self._errors: list[Exception] = [RuntimeError("broken"), StoreUnavailable("away")]

    async def drop_records(self, before: datetime, *, after: Place | None, limit: int) -> tuple[int, Place | None]:
        if self._errors:
            raise self._errors.pop()
        return await super().drop_records(before, after=after, limit=limit)


async def test_a_ledger_that_is_away_or_broken_is_asked_again() -> None:
    ledger = _Ailing()
    await ledger.append([a_record(shadow=None)], arrived_at=NOON)
    watch = RetentionWatch(ApplyRetention(ledger, RETENTION, now=lambda: NOON + timedelta(days=2)), interval_s=0.01, first_s=0.0)
    await watch.start()

    async def counted() -> dict[str, int]:
        return dict(watch.counts())

    await becomes(counted, {"submissions_dropped": 1, "retention_failures": 1})
    await watch.stop()


async def test_it_stops_at_once_between_two_walks() -> None:
    watch = RetentionWatch(ApplyRetention(MemoryLedger(), RETENTION, now=lambda: NOON), interval_s=3_600.0)
    await watch.start()
    async with asyncio.timeout(20):
        await watch.stop()


def test_records_stay_for_two_weeks_unless_told_otherwise() -> None:
    assert retention_of(Settings()).records == timedelta(days=14)
    assert retention_of(Settings(retention_records_days=0.5)).records == timedelta(hours=12)
    assert retention_of(Settings(retention_records_days=0, retention_hours_days=0)) == Retention(records=None, hours=None)


@pytest.mark.parametrize(
    ("records", "hours", "is_refused"), [(14, 13, True), (0, 400, True), (14, 14, False), (14, 0, False), (0, 0, False)]
)
def test_hours_are_kept_at_least_as_long_as_records(records: float, hours: float, is_refused: bool) -> None:
    if not is_refused:
        Settings(retention_records_days=records, retention_hours_days=hours)
        return
    with pytest.raises(ValidationError, match="DUALRUN_RETENTION_HOURS_DAYS should be DUALRUN_RETENTION_RECORDS_DAYS or more"):
        Settings(retention_records_days=records, retention_hours_days=hours)
