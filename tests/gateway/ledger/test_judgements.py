"""Difference groups that are triaged, pairs that are judged again: the same in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dualrun.contracts import Outcome, Record, Role, Submission
from gateway.core.comparison import Verdict
from gateway.core.grouping import fingerprint
from gateway.core.pairing import Judgement
from gateway.core.report import DifferenceGroup, ReportScope, TaskReport
from gateway.core.triage import TriageNote, TriageState
from gateway.usecases.judge_again import judge_again
from tests.gateway.ledger.conftest import Ledger
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

DIFFERENCE = a_difference()
GROUP = fingerprint("shop.charge", DIFFERENCE.aspect, DIFFERENCE.kind, DIFFERENCE.path)


async def task_of(ledger: Ledger, flag_version: int | None = None) -> TaskReport:
    report = await ledger.reader.shadow_report(ReportScope(task="shop.charge", flag_version=flag_version), now=NOON)
    return report.tasks[0]


async def group_of(ledger: Ledger) -> DifferenceGroup:
    found = await ledger.reader.difference(GROUP, now=NOON)
    assert found is not None
    return found


async def store_different(ledger: Ledger, *ids: str, minutes: int = 0, cohort: str = "", flag_version: int = 7) -> None:
    await ledger.writer.store(
        [
            replace(
                a_comparison(id_, Verdict.DIFFERENT_VALUE, DIFFERENCE),
                compared_at=NOON + timedelta(minutes=minutes),
                cohort_key=cohort or id_,
                flag_version=flag_version,
            )
            for id_ in ids
        ]
    )


def said(state: TriageState, *, minutes: int = 0) -> TriageNote:
    return TriageNote(state=state, author="ann", note="SHOP-1", said_at=NOON + timedelta(minutes=minutes))


async def test_a_group_called_fixed_is_reopened_when_it_comes_back(ledger: Ledger) -> None:
    await store_different(ledger, "s1")
    assert (await group_of(ledger)).triage is TriageState.OPEN
    assert await ledger.triage.triage(GROUP, said(TriageState.FIXED, minutes=5))
    assert (await group_of(ledger)).triage is TriageState.FIXED
    await store_different(ledger, "s2", minutes=4)
    assert (await group_of(ledger)).triage is TriageState.FIXED
    await store_different(ledger, "s3", minutes=6)
    group = await group_of(ledger)
    assert group.triage is TriageState.REOPENED
    assert group.triage_note == said(TriageState.FIXED, minutes=5)


async def test_a_group_that_is_known_stays_known(ledger: Ledger) -> None:
    await store_different(ledger, "s1")
    await ledger.triage.triage(GROUP, said(TriageState.KNOWN))
    await store_different(ledger, "s2", minutes=9)
    assert (await group_of(ledger)).triage is TriageState.KNOWN


async def test_nothing_can_be_said_of_a_group_that_is_not_there(ledger: Ledger) -> None:
    assert not await ledger.triage.triage("0" * 16, said(TriageState.KNOWN))
    assert await ledger.reader.difference("0" * 16, now=NOON) is None


async def test_who_is_affected_is_counted_by_cohort_key(ledger: Ledger) -> None:
    await store_different(ledger, "s1", "s2", cohort="ann")
    await store_different(ledger, "s3", cohort="bob")
    await ledger.writer.store([replace(a_comparison("s4", Verdict.EQUAL), cohort_key="cid")])
    task = await task_of(ledger)
    assert (task.cohorts, task.groups[0].cohorts) == (3, 2)


async def test_a_report_of_one_flag_version_counts_what_it_decided(ledger: Ledger) -> None:
    await store_different(ledger, "s1", "s2", flag_version=7)
    await store_different(ledger, "s3", flag_version=8)
    every, eighth = await task_of(ledger), await task_of(ledger, 8)
    assert every.by_flag_version == {7: {Verdict.DIFFERENT_VALUE: 2}, 8: {Verdict.DIFFERENT_VALUE: 1}}
    assert (eighth.counts, [group.count for group in eighth.groups]) == ({Verdict.DIFFERENT_VALUE: 1}, [1])
    assert (await task_of(ledger, 9)).groups == ()


async def test_a_group_shows_its_trend_by_the_hour(ledger: Ledger) -> None:
    await store_different(ledger, "s1", minutes=-120)
    await store_different(ledger, "s2", "s3")
    trend = (await group_of(ledger)).trend
    assert (len(trend), trend[-1], trend[-3], sum(trend)) == (24, 2, 1, 3)


async def test_trace_nodes_are_timed_in_pairs(ledger: Ledger) -> None:
    comparisons = [replace(a_comparison(f"s{n}", Verdict.EQUAL), node_times=(("/trace/db", 100.0, 300.0),)) for n in range(9)]
    await ledger.writer.store(comparisons)
    (node,) = (await task_of(ledger)).nodes
    assert (node.path, node.pairs) == ("/trace/db", 9)
    assert node.ratio == pytest.approx(3.0, rel=0.06)
    assert node.authority_ms == pytest.approx(100, rel=0.06)
    assert node.shadow_ms == pytest.approx(300, rel=0.06)


def by(version: str, verdict: Verdict) -> Judgement:
    differences = (DIFFERENCE,) if verdict.is_different else (replace(DIFFERENCE, ignored_by="a rule"),)
    return Judgement(verdict, differences, version)


async def store_pairs(ledger: Ledger, count: int) -> None:
    for n in range(count):
        records: list[Record] = [a_record(f"s{n}"), an_outcome(f"s{n}"), an_outcome(f"s{n}", Role.SHADOW)]
        await ledger.writer.append(records, arrived_at=NOON)
    await store_different(ledger, *(f"s{n}" for n in range(count)))


async def test_stored_pairs_are_judged_again_when_the_rules_change(ledger: Ledger) -> None:
    await store_pairs(ledger, 230)
    await ledger.judgements.adopt_rules("new", at=NOON)

    def forgiving(_: Submission, __: Outcome, ___: Outcome) -> Judgement:
        return by("new", Verdict.IGNORED)

    assert await judge_again("new", ledger=ledger.judgements, compare=forgiving, goes_on=lambda: True) == 230
    task = await task_of(ledger)
    assert task.counts == {Verdict.IGNORED: 230}
    assert [(group.ignored_by, group.count) for group in task.groups] == [("a rule", 230)]
    assert await judge_again("new", ledger=ledger.judgements, compare=forgiving, goes_on=lambda: True) == 0

    await ledger.judgements.adopt_rules("strict", at=NOON + timedelta(minutes=1))
    judged = await judge_again(
        "strict", ledger=ledger.judgements, compare=lambda *_: by("strict", Verdict.DIFFERENT_VALUE), goes_on=lambda: True
    )
    assert judged == 230
    assert [(group.ignored_by, group.count) for group in (await task_of(ledger)).groups] == [(None, 230)]


async def test_rules_that_are_no_longer_in_force_judge_nothing(ledger: Ledger) -> None:
    await store_pairs(ledger, 3)
    await ledger.judgements.adopt_rules("old", at=NOON)
    await ledger.judgements.adopt_rules("new", at=NOON + timedelta(seconds=1))
    assert await judge_again("old", ledger=ledger.judgements, compare=lambda *_: by("old", Verdict.IGNORED), goes_on=lambda: True) == 0


async def test_a_late_pair_that_is_judged_again_stays_late(ledger: Ledger) -> None:
    await ledger.writer.append([a_record(), an_outcome(), an_outcome(role=Role.SHADOW)], arrived_at=NOON)
    await ledger.writer.store([a_comparison("s1", Verdict.LATE, DIFFERENCE)])
    await ledger.judgements.adopt_rules("new", at=NOON)
    await judge_again("new", ledger=ledger.judgements, compare=lambda *_: by("new", Verdict.IGNORED), goes_on=lambda: True)
    assert (await task_of(ledger)).counts == {Verdict.LATE: 1}


async def test_control_runs_count_as_noise_and_as_nothing_else(ledger: Ledger) -> None:
    await store_different(ledger, "s1")
    control = replace(a_comparison("s2", Verdict.DIFFERENT_VALUE, DIFFERENCE), control=True)
    await ledger.writer.store([control, replace(a_comparison("s3", Verdict.EQUAL), control=True)])
    task = await task_of(ledger)
    assert task.counts == {Verdict.DIFFERENT_VALUE: 1}
    assert [group.count for group in task.groups] == [1]
    assert task.controls == {"": 2, GROUP: 1}


async def test_answers_and_unknown_calls_are_counted_once_a_pair(ledger: Ledger) -> None:
    counted = replace(a_comparison("s1", Verdict.EQUAL), answers_dropped=2, calls_unknown=3, calls_unanswered=4)
    await ledger.writer.store([counted])
    await ledger.writer.store([counted, replace(counted, submission_id="s2"), replace(counted, submission_id="s3", control=True)])
    task = await task_of(ledger)
    assert (task.answers_dropped, task.calls_unknown, task.calls_unanswered) == (4, 6, 8)
