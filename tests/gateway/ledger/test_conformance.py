"""What every ledger does: the one in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from dualrun.contracts import Failure, JsonValue, Outcome, Record, Role, Safety, Side, SubmissionRecord
from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from gateway.core.ports import LedgerReader, LedgerWriter
from gateway.core.report import ReportScope, ShadowReport, TaskReport
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome


class Ledger(Protocol):
    @property
    def writer(self) -> LedgerWriter: ...
    @property
    def reader(self) -> LedgerReader: ...


async def report_of(ledger: Ledger, **window: datetime | None) -> ShadowReport:
    return await ledger.reader.shadow_report(ReportScope(since=window.get("since"), until=window.get("until")), now=NOON)


async def only_task(ledger: Ledger, **window: datetime | None) -> TaskReport:
    (task,) = (await report_of(ledger, **window)).tasks
    return task


async def test_a_submission_reads_back_as_it_was_with_both_outcomes(ledger: Ledger) -> None:
    record, authority, shadow = (
        a_record(eta=NOON + timedelta(hours=1), shadow_delay_s=30, safety=Safety.SANDBOXED),
        an_outcome(),
        an_outcome("s1", Role.SHADOW, failure=Failure(kind="Oops")),
    )
    touched = await ledger.writer.append([record, authority, shadow], arrived_at=NOON)
    view = await ledger.reader.submission("s1")
    assert list(touched) == ["s1"]
    assert view is not None
    assert (view.submission, view.decision) == (record.submission, record.decision)
    assert (view.authority, view.shadow, view.comparison) == (authority, shadow, None)


HARD_VALUES: list[JsonValue] = [
    "a\x00b",
    2**70,
    -(2**200),
    0.1,
    1e308,
    "\U0001f600 é",
    {"": {"\x00": [None, True, {"__type__": "datetime"}]}},
    [[[]]],
]


@pytest.mark.parametrize("value", HARD_VALUES, ids=repr)
async def test_json_is_kept_to_the_last_digit_and_the_last_nul(ledger: Ledger, value: JsonValue) -> None:
    await ledger.writer.append([a_record(args=(value,), kwargs={"k": value}), an_outcome(value=value)], arrived_at=NOON)
    view = await ledger.reader.submission("s1")
    assert view is not None
    assert view.authority is not None
    assert view.submission.args == (value,)
    assert view.submission.kwargs == {"k": value}
    assert view.authority.value == value


HARD_RECORDS: list[Record] = [
    a_record("nul\x00id", task="nul\x00task"),
    a_record("x" * 5_000, task="y" * 5_000),
    a_record("early", submitted_at=datetime(1, 1, 1, tzinfo=UTC)),
    a_record("late", eta=datetime.max.replace(tzinfo=UTC)),
    a_record("no zone", submitted_at=datetime(2026, 1, 1), eta=NOON),  # noqa: DTZ001
    an_outcome("nul\x00id", task="\x00"),
    an_outcome("x" * 5_000),
]


@pytest.mark.parametrize("record", HARD_RECORDS, ids=lambda record: repr(record)[:60])
async def test_no_record_that_can_be_decoded_stops_those_beside_it(ledger: Ledger, record: SubmissionRecord | Outcome) -> None:
    touched = await ledger.writer.append([a_record("ordinary"), record, an_outcome("ordinary")], arrived_at=NOON)
    pairs = await ledger.writer.pairs(touched)
    assert "ordinary" in {pair.record.submission.id for pair in pairs}
    view = await ledger.reader.submission("ordinary")
    assert view is not None
    assert view.authority == an_outcome("ordinary")


async def test_the_first_outcome_of_a_role_counts(ledger: Ledger) -> None:
    first, second = an_outcome(value="first"), an_outcome(value="second")
    await ledger.writer.append([a_record(), first, second], arrived_at=NOON)
    touched = await ledger.writer.append([second], arrived_at=NOON + timedelta(hours=1))
    (pair,) = await ledger.writer.pairs(["s1"])
    assert list(touched) == ["s1"]
    assert pair.outcomes == {Role.AUTHORITY: first}
    assert pair.arrived_at == {Role.AUTHORITY: NOON}


async def test_a_second_run_is_counted_once_however_often_its_record_comes(ledger: Ledger) -> None:
    first, again = an_outcome(), an_outcome(started_at=NOON + timedelta(minutes=5))
    await ledger.writer.append([a_record(), first, first], arrived_at=NOON)
    for _ in range(2):
        await ledger.writer.append([again, first, again], arrived_at=NOON)
    (task,) = (await ledger.reader.shadow_report(ReportScope(task="shop.charge"), now=NOON)).tasks
    assert task.ran_again == 1


async def test_the_first_record_of_a_submission_counts(ledger: Ledger) -> None:
    await ledger.writer.append([a_record(kwargs={"n": 1})], arrived_at=NOON)
    await ledger.writer.append([a_record(kwargs={"n": 2})], arrived_at=NOON)
    view = await ledger.reader.submission("s1")
    assert view is not None
    assert view.submission.kwargs == {"n": 1}


async def test_outcomes_that_come_before_their_submission_are_kept_for_it(ledger: Ledger) -> None:
    touched = await ledger.writer.append([an_outcome(), an_outcome("s1", Role.SHADOW)], arrived_at=NOON)
    assert list(touched) == ["s1"]
    assert await ledger.writer.pairs(touched) == []
    assert await ledger.reader.submission("s1") is None
    await ledger.writer.append([a_record()], arrived_at=NOON)
    (pair,) = await ledger.writer.pairs(["s1"])
    assert set(pair.outcomes) == {Role.AUTHORITY, Role.SHADOW}


async def test_pairs_are_shadowed_and_not_finally_compared(ledger: Ledger) -> None:
    records = [a_record("plain", shadow=None), a_record("waits"), a_record("done"), a_record("missing")]
    await ledger.writer.append(records, arrived_at=NOON)
    await ledger.writer.store([a_comparison("done"), a_comparison("missing", Verdict.MISSING)])
    pairs = await ledger.writer.pairs(["plain", "waits", "done", "missing", "unknown", "waits"])
    assert {pair.record.submission.id: pair.verdict for pair in pairs} == {"waits": None, "missing": Verdict.MISSING}


async def test_overdue_counts_from_when_both_sides_may_start_oldest_first(ledger: Ledger) -> None:
    minute = timedelta(minutes=1)
    records = [
        a_record("second", submitted_at=NOON - 2 * minute),
        a_record("first", submitted_at=NOON - 3 * minute, eta=NOON - 5 * minute),
        a_record("scheduled", submitted_at=NOON - 9 * minute, eta=NOON + minute),
        a_record("young", submitted_at=NOON),
        a_record("delayed", submitted_at=NOON - 3 * minute, shadow_delay_s=150),
        a_record("compared", submitted_at=NOON - 9 * minute),
        a_record("unshadowed", submitted_at=NOON - 9 * minute, shadow=None),
    ]
    await ledger.writer.append(records, arrived_at=NOON)
    await ledger.writer.store([a_comparison("compared", Verdict.MISSING)])
    overdue = await ledger.writer.overdue(NOON - minute, limit=10)
    assert [pair.record.submission.id for pair in overdue] == ["first", "second"]
    assert [pair.record.submission.id for pair in await ledger.writer.overdue(NOON - minute, limit=1)] == ["first"]


async def test_a_record_that_comes_again_does_not_make_a_compared_pair_pending(ledger: Ledger) -> None:
    await ledger.writer.append([a_record()], arrived_at=NOON)
    await ledger.writer.store([a_comparison()])
    await ledger.writer.append([a_record()], arrived_at=NOON)
    assert await ledger.writer.overdue(NOON + timedelta(days=1), limit=10) == []
    assert (await only_task(ledger)).pending == 0


async def test_a_comparison_reads_back_as_it_was(ledger: Ledger) -> None:
    comparison = a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference(authority={"\x00": 2**70}), a_difference("/b", ignored_by="r-1"))
    await ledger.writer.append([a_record()], arrived_at=NOON)
    await ledger.writer.store([comparison])
    view = await ledger.reader.submission("s1")
    assert view is not None
    assert view.comparison == comparison


async def test_storing_a_comparison_again_counts_once(ledger: Ledger) -> None:
    comparison = a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference())
    for batch in ([comparison, comparison], [comparison], [a_comparison("s1", Verdict.EQUAL)], []):
        await ledger.writer.store(batch)
    task = await only_task(ledger)
    assert task.counts == {Verdict.DIFFERENT_VALUE: 1}
    assert (task.authority_latency.count, task.shadow_latency.count) == (1, 1)
    assert [group.count for group in task.groups] == [1]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("verdict", [Verdict.LATE, Verdict.DIFFERENT_VALUE])
async def test_only_missing_is_replaced_and_only_by_what_both_outcomes_say(ledger: Ledger, verdict: Verdict, together: bool) -> None:
    missing = a_comparison("s1", Verdict.MISSING, missing="shadow", shadow_ms=None)
    whole = a_comparison("s1", verdict, a_difference(), compared_at=NOON + timedelta(hours=2))
    for batch in ([missing, whole],) if together else ([missing], [missing], [whole]):
        await ledger.writer.store(batch)
    await ledger.writer.store([missing, a_comparison("s1")])
    await ledger.writer.append([a_record()], arrived_at=NOON)
    task, view = await only_task(ledger), await ledger.reader.submission("s1")
    assert task.counts == {verdict: 1}
    assert task.authority_latency.count == 1
    assert [group.count for group in task.groups] == [1]
    assert view is not None
    assert view.comparison == whole


async def test_groups_count_submissions_and_not_occurrences(ledger: Ledger) -> None:
    twice = a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference("/value/[*]/price"), a_difference("/value/[*]/price", shadow=3))
    other = a_comparison("s2", Verdict.DIFFERENT_VALUE, a_difference("/value/[*]/price"), a_difference("/value/name"))
    await ledger.writer.store([twice, other])
    groups = (await only_task(ledger)).groups
    assert [(group.path, group.count) for group in groups] == [("/value/[*]/price", 2), ("/value/name", 1)]
    assert [sample.submission_id for sample in groups[0].samples] == ["s1", "s2"]


async def test_what_a_rule_hides_is_counted_apart_from_what_it_does_not(ledger: Ledger) -> None:
    hidden = a_difference("/value/price", shadow=1.001, ignored_by="cents")
    shown = a_difference("/value/price", shadow=9)
    await ledger.writer.store([a_comparison("s1", Verdict.IGNORED, hidden), a_comparison("s2", Verdict.DIFFERENT_VALUE, hidden, shown)])
    groups = (await only_task(ledger)).groups
    assert {(group.ignored_by, group.count) for group in groups} == {("cents", 2), (None, 1)}
    assert len({group.fingerprint for group in groups}) == 1


async def test_a_group_says_what_it_is_and_when_it_was_seen(ledger: Ledger) -> None:
    difference = a_difference(
        "/effects/email", aspect=Aspect.EFFECTS, kind=DifferenceKind.EFFECT_MISSING, authority={"to": "a"}, shadow=None
    )
    for minute, id_ in ((5, "b"), (1, "a"), (9, "c")):
        at = NOON + timedelta(minutes=minute)
        await ledger.writer.store([a_comparison(id_, Verdict.DIFFERENT_EFFECT, difference, compared_at=at)])
    (group,) = (await only_task(ledger)).groups
    assert (group.aspect, group.kind, group.path, group.task) == (
        Aspect.EFFECTS,
        DifferenceKind.EFFECT_MISSING,
        "/effects/email",
        "shop.charge",
    )
    assert (group.first_seen, group.last_seen) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=9))
    assert group.samples[0].authority == {"to": "a"}


async def test_a_group_keeps_five_samples_however_often_it_is_seen_and_not_just_the_first(ledger: Ledger) -> None:
    for start in range(0, 300, 50):
        await ledger.writer.store(
            [a_comparison(f"s{n}", Verdict.DIFFERENT_VALUE, a_difference(shadow=n)) for n in range(start, start + 50)]
        )
    (group,) = (await only_task(ledger)).groups
    ids = {sample.submission_id for sample in group.samples}
    assert group.count == 300
    assert len(ids) == 5
    assert ids != {f"s{n}" for n in range(5)}
    assert all(sample.submission_id == f"s{sample.shadow}" for sample in group.samples)


async def test_a_window_counts_its_hours_only(ledger: Ledger) -> None:
    for hour in range(4):
        at = NOON + timedelta(hours=hour)
        await ledger.writer.store([a_comparison(f"s{hour}", Verdict.DIFFERENT_VALUE, a_difference(f"/value/{hour // 2}"), compared_at=at)])
    task = await only_task(ledger, since=NOON + timedelta(hours=1, minutes=59), until=NOON + timedelta(hours=2, minutes=30))
    assert task.counts == {Verdict.DIFFERENT_VALUE: 2}
    assert task.authority_latency.count == 2
    assert [(group.path, group.count) for group in task.groups] == [("/value/0", 1), ("/value/1", 1)]
    assert (await only_task(ledger)).compared == 4
    assert (await only_task(ledger, until=NOON + timedelta(minutes=30))).compared == 1
    assert (await only_task(ledger, until=NOON + timedelta(minutes=30))).authority_latency.count == 1
    assert (await report_of(ledger, since=NOON + timedelta(days=1))).tasks == ()


async def test_a_report_has_every_shadowed_task_and_what_waits(ledger: Ledger) -> None:
    await ledger.writer.append([a_record("p1", task="b"), a_record("p2", task="b"), a_record("x", task="c", shadow=None)], arrived_at=NOON)
    await ledger.writer.store(
        [a_comparison("s1", task="a"), a_comparison("s2", Verdict.MISSING, task="a", missing="shadow", shadow_ms=None)]
    )
    report = await report_of(ledger)
    assert [(task.task, task.pending, dict(task.counts)) for task in report.tasks] == [
        ("a", 0, {Verdict.EQUAL: 1, Verdict.MISSING: 1}),
        ("b", 2, {}),
    ]
    assert report.generated_at == NOON
    assert report.tasks[0].authority_latency.count == 1


async def test_a_task_that_is_asked_for_is_answered_even_without_data(ledger: Ledger) -> None:
    await ledger.writer.store([a_comparison("s1", task="a")])
    (task,) = (await ledger.reader.shadow_report(ReportScope(task="nothing"), now=NOON)).tasks
    assert (task.task, task.compared, task.authority_latency.p99_ms) == ("nothing", 0, None)


async def test_latency_quantiles_are_within_five_percent(ledger: Ledger) -> None:
    times = [(n / 10.0) ** 2 + 0.5 for n in range(1, 201)]
    await ledger.writer.store([a_comparison(f"s{n}", authority_ms=ms, shadow_ms=2 * ms) for n, ms in enumerate(times)])
    task = await only_task(ledger)
    for q, authority_ms, shadow_ms in (
        (0.50, task.authority_latency.p50_ms, task.shadow_latency.p50_ms),
        (0.95, task.authority_latency.p95_ms, task.shadow_latency.p95_ms),
        (0.99, task.authority_latency.p99_ms, task.shadow_latency.p99_ms),
    ):
        exact = times[int(q * 200) - 1]
        assert authority_ms == pytest.approx(exact, rel=0.05)
        assert shadow_ms == pytest.approx(2 * exact, rel=0.05)


async def test_unshadowed_submissions_are_never_pairs(ledger: Ledger) -> None:
    await ledger.writer.append([a_record(shadow=None), an_outcome(), an_outcome("s1", Role.SHADOW)], arrived_at=NOON)
    assert await ledger.writer.pairs(["s1"]) == []


async def test_a_thousand_ids_are_one_question(ledger: Ledger) -> None:
    ids = [f"s{n}" for n in range(1_200)]
    await ledger.writer.append([a_record(id_, shadow=Side.EVENTS) for id_ in ids], arrived_at=NOON)
    assert {pair.record.submission.id for pair in await ledger.writer.pairs(ids)} == set(ids)
    assert len(await ledger.writer.overdue(NOON + timedelta(days=1), limit=1_100)) == 1_100
