"""What a ledger keeps no longer, and what it keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dualrun.contracts import Role
from gateway.core.comparison import Verdict
from gateway.core.report import ReportScope
from gateway.ledger import SqlLedgerReader, SqlLedgerWriter, SqlRetention, schema
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from gateway.core.ports import Place
    from tests.gateway.ledger.conftest import Ledger

LATER = NOON + timedelta(days=20)


async def _a_pair(ledger: Ledger, id_: str, **differing: bool) -> None:
    await ledger.writer.append([a_record(id_), an_outcome(id_), an_outcome(id_, Role.SHADOW)], arrived_at=NOON)
    differences = (a_difference(),) if differing.get("differing") else ()
    verdict = Verdict.DIFFERENT_VALUE if differences else Verdict.EQUAL
    await ledger.writer.store([a_comparison(id_, verdict, *differences)])


async def _drop_all(ledger: Ledger, limit: int = 2) -> list[int]:
    dropped, place = await ledger.retention.drop_records(LATER, after=None, limit=limit)
    told = [dropped]
    while place is not None:
        dropped, place = await ledger.retention.drop_records(LATER, after=place, limit=limit)
        told.append(dropped)
    return told


async def test_settled_submissions_go_with_all_that_belongs_to_them_and_counters_stay(ledger: Ledger) -> None:
    for number in range(5):
        await _a_pair(ledger, f"s{number}")
    before = await ledger.reader.shadow_report(ReportScope(), now=NOON)
    assert sum(await _drop_all(ledger)) == 5
    assert [await ledger.reader.submission(f"s{number}") for number in range(5)] == [None] * 5
    assert await ledger.reader.shadow_report(ReportScope(), now=NOON) == before
    assert before.tasks[0].counts[Verdict.EQUAL] == 5
    assert await _drop_all(ledger) == [0]


async def test_samples_of_a_difference_stay_readable(ledger: Ledger) -> None:
    await _a_pair(ledger, "same")
    await _a_pair(ledger, "sample", differing=True)
    assert sum(await _drop_all(ledger)) == 1
    view = await ledger.reader.submission("sample")
    assert view is not None
    assert view.authority is not None
    assert view.comparison is not None


async def test_what_waits_is_young_or_lies_ahead_stays(ledger: Ledger) -> None:
    waiting = a_record("waiting")
    ahead = a_record("ahead", shadow=None, eta=LATER + timedelta(days=1))
    young = a_record("young", shadow=None, submitted_at=LATER)
    await ledger.writer.append([waiting, ahead, young], arrived_at=NOON)
    assert sum(await _drop_all(ledger)) == 0
    assert None not in [await ledger.reader.submission(id_) for id_ in ("waiting", "ahead", "young")]


async def test_a_submission_without_a_shadow_goes_whether_or_not_it_was_heard_of_again(ledger: Ledger) -> None:
    await ledger.writer.append([a_record("ended", shadow=None), an_outcome("ended"), a_record("unheard", shadow=None)], arrived_at=NOON)
    assert sum(await _drop_all(ledger)) == 2


async def test_a_walk_goes_on_behind_what_stays(ledger: Ledger) -> None:
    for number in range(7):
        await _a_pair(ledger, f"s{number}", differing=number < 3)
    place: Place | None = None
    dropped, place = await ledger.retention.drop_records(LATER, after=None, limit=2)
    assert (dropped, place is None) == (2, False)
    assert sum(await _drop_all(ledger)) == 2


async def test_outcomes_without_a_submission_go_once_they_are_old(ledger: Ledger) -> None:
    await ledger.writer.append([an_outcome("orphan")], arrived_at=NOON)
    await ledger.writer.append([a_record("known", shadow=None), an_outcome("known")], arrived_at=NOON)
    assert await ledger.retention.drop_orphans(NOON, limit=10) == 0
    assert await ledger.retention.drop_orphans(LATER, limit=10) == 1
    assert await ledger.retention.drop_orphans(LATER, limit=10) == 0


async def test_hours_go_and_totals_stay(engine: AsyncEngine) -> None:
    writer, reader = SqlLedgerWriter(engine), SqlLedgerReader(engine)
    await writer.append([a_record(), an_outcome(), an_outcome(role=Role.SHADOW)], arrived_at=NOON)
    await writer.store([a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference())])
    of_all_time = await reader.shadow_report(ReportScope(), now=LATER)
    assert await SqlRetention(engine).drop_hours(NOON) == 0
    assert await SqlRetention(engine).drop_hours(LATER) > 0
    assert await reader.shadow_report(ReportScope(), now=LATER) == of_all_time
    window = ReportScope(since=NOON - timedelta(hours=1), until=NOON + timedelta(hours=1))
    assert [task.counts for task in (await reader.shadow_report(window, now=LATER)).tasks] in ([], [{}])


@pytest.mark.parametrize("table", [schema.submissions, schema.outcomes, schema.comparisons], ids=str)
async def test_no_row_is_left_behind(engine: AsyncEngine, table: sa.Table) -> None:
    writer = SqlLedgerWriter(engine)
    await writer.append([a_record(), an_outcome(), an_outcome(role=Role.SHADOW)], arrived_at=NOON)
    await writer.store([a_comparison()])
    await SqlRetention(engine).drop_records(LATER, after=None, limit=10)
    async with engine.connect() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
