"""What people look through, on every ledger: the one in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import pytest

from dualrun.contracts import Role, Side, State
from gateway.core.activity import FINE_S, HOUR_S, Series
from gateway.core.comparison import Verdict
from gateway.core.gate import GateAction, GateVerdict
from gateway.core.ports import GateLedger, JudgementLedger, LedgerBrowser, LedgerWriter, NumberedVerdict
from gateway.core.search import SubmissionSearch
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

TASK = "shop.charge"


class Ledger(Protocol):
    @property
    def writer(self) -> LedgerWriter: ...
    @property
    def judgements(self) -> JudgementLedger: ...
    @property
    def gate(self) -> GateLedger: ...
    @property
    def browser(self) -> LedgerBrowser: ...


def minutes(n: float) -> datetime:
    return NOON + timedelta(minutes=n)


async def found(ledger: Ledger, **conditions: Any) -> list[str]:
    return [one.id for one in (await ledger.browser.search(SubmissionSearch(**conditions))).found]


@pytest.fixture
async def looked(ledger: Ledger) -> Ledger:
    """Five submissions a minute apart: two that differ, one that is equal, one that waits and one without a shadow."""
    verdicts = {"a1": Verdict.DIFFERENT_VALUE, "a2": Verdict.EQUAL, "b3": Verdict.DIFFERENT_STATE, "b4": None, "b5": None}
    records = [
        a_record(id_, task="shop.refund" if id_ == "b3" else TASK, submitted_at=minutes(n), shadow=None if id_ == "b5" else Side.EVENTS)
        for n, id_ in enumerate(verdicts)
    ]
    await ledger.writer.append(records, arrived_at=minutes(9))
    compared = [
        a_comparison(id_, verdict, *([a_difference()] if verdict.is_different else []), task=record.submission.task, compared_at=minutes(n))
        for n, ((id_, verdict), record) in enumerate(zip(verdicts.items(), records, strict=True))
        if verdict is not None
    ]
    await ledger.writer.store(compared)
    return ledger


async def test_executions_are_counted_by_side_and_role_in_both_steps_once(ledger: Ledger) -> None:
    outcomes = [an_outcome(f"s{n}", started_at=minutes(2 * n), elapsed_ms=10.0 * n) for n in range(1, 5)]
    shadow = an_outcome("s1", Role.SHADOW, started_at=minutes(2), elapsed_ms=5.0)
    for _ in range(2):
        await ledger.writer.append([*outcomes, shadow], arrived_at=minutes(9))
    fine = (await ledger.browser.activity([TASK], since=NOON, until=minutes(30), step_s=FINE_S))[TASK]
    hour = (await ledger.browser.activity([TASK], since=NOON, until=minutes(30), step_s=HOUR_S))[TASK]
    assert [(point.at, point.answered(Side.LEGACY), point.observed(Side.EVENTS)) for point in fine] == [(NOON, 2, 1), (minutes(5), 2, 0)]
    assert [point.mean_ms(Side.LEGACY) for point in fine] == [15.0, 35.0]
    assert [(point.at, point.answered(Side.LEGACY), point.mean_ms(Side.EVENTS)) for point in hour] == [(NOON, 4, 5.0)]


async def test_executions_that_ended_as_dead_letters_are_counted_beside_the_others(ledger: Ledger) -> None:
    dead = msgspec.structs.replace(an_outcome("s1"), state=State.DEAD_LETTERED)
    await ledger.writer.append([dead, an_outcome("s2")], arrived_at=NOON)
    (point,) = (await ledger.browser.activity([TASK], since=NOON, until=minutes(1), step_s=HOUR_S))[TASK]
    assert (point.answered(Side.LEGACY), point.dead_lettered) == (2, 1)


async def test_the_gates_last_word_on_each_task_is_given(ledger: Ledger) -> None:
    for task, ordinal, action in (("a", 1, GateAction.HOLD), ("a", 2, GateAction.PROMOTE), ("b", 1, GateAction.HOLD)):
        word = GateVerdict(id="g", task=task, action=action, reason="", step="", flag_version=1, decided_at=NOON)
        assert await ledger.gate.append_verdict(NumberedVerdict(ordinal, word))
    words = await ledger.browser.gate_words(["a", "c"])
    assert {task: word.action for task, word in words.items()} == {"a": GateAction.PROMOTE}


async def test_a_judgement_taken_back_moves_from_different_to_same(looked: Ledger) -> None:
    (before,) = (await looked.browser.activity([TASK], since=NOON, until=minutes(9), step_s=HOUR_S))[TASK]
    assert before.match_ratio == 0.5
    again = replace(a_comparison("a1", Verdict.IGNORED, compared_at=NOON), ruleset_version="r2")
    await looked.judgements.replace([again])
    (after,) = (await looked.browser.activity([TASK], since=NOON, until=minutes(9), step_s=HOUR_S))[TASK]
    assert (after.match_ratio, after.counts) == (1.0, {Series.SAME: 2})


async def test_fine_steps_go_after_two_days_and_hours_stay(ledger: Ledger) -> None:
    await ledger.writer.append([an_outcome("s1")], arrived_at=NOON)
    later = NOON + timedelta(days=3)
    await ledger.writer.append([an_outcome("s2", started_at=later)], arrived_at=later)
    hours = (await ledger.browser.activity([TASK], since=NOON, until=later, step_s=HOUR_S))[TASK]
    fine = (await ledger.browser.activity([TASK], since=later - timedelta(days=1), until=later, step_s=FINE_S))[TASK]
    assert (len(hours), len(fine)) == (2, 1)


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({}, ["b5", "b4", "b3", "a2", "a1"]),
        ({"task": "shop.refund"}, ["b3"]),
        ({"id_starts": "a"}, ["a2", "a1"]),
        ({"verdicts": [Verdict.DIFFERENT_VALUE, Verdict.DIFFERENT_STATE]}, ["b3", "a1"]),
        ({"verdicts": [Verdict.EQUAL], "task": TASK}, ["a2"]),
        ({"verdicts": [Verdict.EQUAL], "task": "shop.refund"}, []),
        ({"waiting": True}, ["b4"]),
        ({"since": minutes(1), "until": minutes(3)}, ["b3", "a2"]),
        ({"verdicts": [Verdict.DIFFERENT_VALUE, Verdict.DIFFERENT_STATE], "since": minutes(1)}, ["b3"]),
        ({"id_starts": "a%"}, []),
    ],
)
async def test_a_search_gives_what_fits_every_condition_the_latest_first(
    looked: Ledger, conditions: dict[str, Any], ids: list[str]
) -> None:
    assert await found(looked, **conditions) == ids


@pytest.mark.parametrize("conditions", [{}, {"task": TASK}, {"verdicts": list(Verdict)}])
async def test_page_by_page_everything_comes_once(looked: Ledger, conditions: dict[str, Any]) -> None:
    together, before = [], None
    while True:
        page = await looked.browser.search(SubmissionSearch(**conditions, limit=2, before=before))
        together += [one.id for one in page.found]
        before = page.next_before
        if before is None:
            break
    assert together == await found(looked, **conditions)


async def test_a_line_says_who_decided_what_and_how_it_ended(looked: Ledger) -> None:
    page = await looked.browser.search(SubmissionSearch())
    by_id = {one.id: one for one in page.found}
    assert (by_id["a1"].verdict, by_id["a1"].pending, by_id["a1"].shadow) == (Verdict.DIFFERENT_VALUE, False, Side.EVENTS)
    assert (by_id["b4"].verdict, by_id["b4"].pending) == (None, True)
    assert (by_id["b5"].verdict, by_id["b5"].pending, by_id["b5"].shadow) == (None, False, None)


async def test_standing_says_as_much_as_the_report_of_which_task_differs(looked: Ledger) -> None:
    late = a_comparison("b4", Verdict.LATE, a_difference("/value/late"), task=TASK, compared_at=minutes(5))
    await looked.writer.append([a_record("c6", task="shop.late")], arrived_at=NOON)
    await looked.writer.store([replace(late, submission_id="c6", task="shop.late")])
    standing = {task.task: task for task in (await looked.browser.standing(now=NOON)).tasks}
    assert standing[TASK].counts == {Verdict.DIFFERENT_VALUE: 1, Verdict.EQUAL: 1}
    assert standing[TASK].pending == 1
    assert [group.path for group in standing["shop.late"].groups] == ["/value/late"]


async def test_what_differs_comes_with_its_differences_the_latest_first(looked: Ledger) -> None:
    (only,) = await looked.browser.differing(TASK, 10)
    assert (only.submission_id, [one.path for one in only.differences]) == ("a1", ["/value/total"])
    assert await looked.browser.differing(TASK, 0) == []
