"""Reports of a part of what was compared: the same in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dualrun.contracts import Role
from gateway.core.comparison import Verdict
from gateway.core.grouping import fingerprint
from gateway.core.pairing import Judgement
from gateway.core.report import KEY_PAIRS, ReportScope, TaskReport
from gateway.core.triage import TriageNote, TriageState
from gateway.usecases.judge_again import judge_again
from tests.gateway.ledger.conftest import Ledger
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

DIFFERENCE = a_difference()
GROUP = fingerprint("shop.charge", DIFFERENCE.aspect, DIFFERENCE.kind, DIFFERENCE.path)
DIFFERENT = Verdict.DIFFERENT_VALUE


async def the_task(ledger: Ledger, scope: ReportScope) -> TaskReport:
    (task,) = (await ledger.reader.shadow_report(replace(scope, task="shop.charge"), now=NOON)).tasks
    return task


async def store(ledger: Ledger, *ids: str, cohort: str = "", key: str = "ann", skew_ms: float = 5.0, same: bool = False) -> None:
    made = a_comparison("", Verdict.EQUAL) if same else a_comparison("", DIFFERENT, DIFFERENCE)
    await ledger.writer.store([replace(made, submission_id=id_, cohort=cohort, cohort_key=key, skew_ms=skew_ms) for id_ in ids])


async def test_a_report_of_a_cohort_counts_what_its_rule_decided(ledger: Ledger) -> None:
    await store(ledger, "s1", "s2", cohort="beta")
    await store(ledger, "s3")
    await store(ledger, "s4", same=True)
    every = await the_task(ledger, ReportScope())
    assert every.by_cohort == {"beta": {DIFFERENT: 2}, "": {DIFFERENT: 1, Verdict.EQUAL: 1}}
    beta, others = await the_task(ledger, ReportScope(cohort="beta")), await the_task(ledger, ReportScope(cohort=""))
    assert (beta.counts, [group.count for group in beta.groups]) == ({DIFFERENT: 2}, [2])
    assert (others.counts, [group.count for group in others.groups]) == ({DIFFERENT: 1, Verdict.EQUAL: 1}, [1])
    assert (await the_task(ledger, ReportScope(cohort="nobody"))).counts == {}


async def test_a_report_of_a_cohort_key_is_of_its_pairs_alone(ledger: Ledger) -> None:
    await store(ledger, "s1", "s2", key="ann")
    await store(ledger, "s3", key="ann", same=True)
    await store(ledger, "s4", key="bob")
    await ledger.triage.triage(GROUP, TriageNote(state=TriageState.KNOWN, author="eve", said_at=NOON))
    ann = await the_task(ledger, ReportScope(cohort_key="ann"))
    assert ann.counts == {DIFFERENT: 2, Verdict.EQUAL: 1}
    (group,) = ann.groups
    assert (group.count, group.triage, {sample.submission_id for sample in group.samples}) == (2, TriageState.KNOWN, {"s1", "s2"})
    assert ann.authority_latency.count == 3
    assert (await the_task(ledger, ReportScope(cohort_key="ann", until=NOON - timedelta(hours=1)))).counts == {}
    assert (await ledger.reader.shadow_report(ReportScope(cohort_key="nobody"), now=NOON)).tasks == ()


async def test_a_report_of_a_cohort_key_is_bounded_and_says_so(ledger: Ledger) -> None:
    await store(ledger, *(f"s{n}" for n in range(KEY_PAIRS + 1)), same=True)
    report = await ledger.reader.shadow_report(ReportScope(cohort_key="ann"), now=NOON)
    assert (report.tasks[0].compared, report.pairs_left_out) == (KEY_PAIRS, 1)


async def test_what_a_key_waits_for_is_its_own(ledger: Ledger) -> None:
    await ledger.writer.append([a_record("s1"), a_record("s2")], arrived_at=NOON)
    assert (await the_task(ledger, ReportScope(cohort_key="s1"))).pending == 1


async def test_pairs_are_counted_by_how_far_apart_they_started(ledger: Ledger) -> None:
    await store(ledger, "s1", "s2", skew_ms=50, same=True)
    await store(ledger, "s3", skew_ms=-90)
    await store(ledger, "s4", skew_ms=3_600_000)
    counts = (await the_task(ledger, ReportScope())).by_skew
    assert [(count.at_least_ms, count.at_most_ms, count.same, count.different) for count in counts] == [
        (0.0, 100.0, 2, 1),
        (600_000.0, None, 0, 1),
    ]


async def test_judging_again_moves_every_count_of_a_pair(ledger: Ledger) -> None:
    await ledger.writer.append([a_record(), an_outcome(), an_outcome(role=Role.SHADOW)], arrived_at=NOON)
    await store(ledger, "s1", cohort="beta", key="s1")
    await ledger.judgements.adopt_rules("new", at=NOON)
    await judge_again("new", ledger=ledger.judgements, compare=lambda *_: Judgement(Verdict.EQUAL, (), "new"), goes_on=lambda: True)
    task = await the_task(ledger, ReportScope())
    assert task.by_cohort == {"beta": {Verdict.EQUAL: 1}}
    assert [(count.same, count.different) for count in task.by_skew] == [(1, 0)]
    assert (await the_task(ledger, ReportScope(cohort_key="s1"))).counts == {Verdict.EQUAL: 1}


async def test_keys_that_are_stored_cut_are_one(ledger: Ledger) -> None:
    times = ((f"/trace/{'x' * 5_000}", 3.0, 3.0), (f"/trace/{'x' * 6_000}", 3.0, 3.0), ("/trace/a\x00b", 1.0, 1.0))
    await ledger.writer.store([replace(a_comparison(f"s{n}"), node_times=times) for n in range(2)])
    assert (await the_task(ledger, ReportScope())).compared == 2
