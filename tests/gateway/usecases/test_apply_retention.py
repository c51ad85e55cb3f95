from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.ledger import MemoryLedger
from gateway.usecases.apply_retention import ApplyRetention, Retention
from tests.support.records import NOON, a_record, an_outcome

WEEK, YEAR = timedelta(days=7), timedelta(days=365)


@pytest.fixture
async def ledger() -> MemoryLedger:
    """With 1,200 submissions that have ended, and an outcome of one nobody knows."""
    full = MemoryLedger()
    ids = [f"s{number:04d}" for number in range(1_200)]
    records = [record for id_ in ids for record in (a_record(id_, shadow=None), an_outcome(id_))]
    await full.append([*records, an_outcome("orphan")], arrived_at=NOON)
    return full


async def _apply(ledger: MemoryLedger, after: timedelta, *, records: timedelta | None = WEEK, is_stopping: bool = False) -> int:
    stopping = asyncio.Event()
    if is_stopping:
        stopping.set()
    retention = Retention(records=records, hours=YEAR)
    return await ApplyRetention(ledger, retention, now=lambda: NOON + after).apply(stopping)


async def test_what_is_older_than_is_kept_goes_piece_by_piece_and_all_of_it(ledger: MemoryLedger) -> None:
    assert await _apply(ledger, WEEK - timedelta(seconds=1)) == 0
    assert await _apply(ledger, WEEK + timedelta(seconds=1)) == 1_200
    assert await ledger.drop_orphans(NOON + YEAR, limit=1) == 0


async def test_nothing_goes_where_records_are_kept_for_ever(ledger: MemoryLedger) -> None:
    assert await _apply(ledger, 10 * YEAR, records=None) == 0


async def test_a_process_that_stops_waits_for_no_more_than_one_piece(ledger: MemoryLedger) -> None:
    assert await _apply(ledger, YEAR, is_stopping=True) == 500
