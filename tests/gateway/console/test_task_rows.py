"""Which tasks the first page lists, and in which order."""

from __future__ import annotations

import pytest

from dualrun.contracts import Mode, Safety, Side
from gateway.console.task_rows import Standing, TaskRow, matching, row_of, task_rows
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.report import ShadowReport
from gateway.report.summary import summarise
from tests.support.records import NOON

BOTH = {Side.LEGACY: 1, Side.EVENTS: 1}
NOTHING = summarise(ShadowReport(generated_at=NOON, tasks=()))


def row(flag: Flag, workers: dict[Side, int]) -> TaskRow:
    return row_of(flag.task, snapshot=FlagSnapshot(version=1, flags={flag.task: flag}), workers=workers, summary=None)


@pytest.mark.parametrize(
    ("flag", "workers", "lacks"),
    [
        (Flag(task="t"), {Side.LEGACY: 1}, False),
        (Flag(task="t"), {Side.EVENTS: 1}, True),
        (Flag(task="t", mode=Mode.EVENTS), {Side.EVENTS: 1}, False),
        (Flag(task="t", mode=Mode.EVENTS), {Side.LEGACY: 1}, True),
        (Flag(task="t", mode=Mode.CANARY, events_share=1), {Side.LEGACY: 1}, True),
        (Flag(task="t", mode=Mode.CANARY, events_share=0), {Side.LEGACY: 1}, False),
        (Flag(task="t", mode=Mode.CANARY, events_share=1), BOTH, False),
        (Flag(task="t", mode=Mode.SHADOW, shadow_share=100_000, safety=Safety.PURE), {Side.LEGACY: 1}, False),
    ],
)
def test_a_side_that_may_have_to_answer_needs_a_worker(flag: Flag, workers: dict[Side, int], lacks: bool) -> None:
    assert (row(flag, workers).standing is Standing.NO_WORKER) is lacks


def test_the_bar_shows_who_answers_and_who_is_observed() -> None:
    assert row(Flag(task="t", mode=Mode.CANARY, events_share=1_000, shadow_share=50_000), BOTH).exposed_share == 1_000
    assert row(Flag(task="t", mode=Mode.CANARY, events_share=1_000, shadow_share=50_000), BOTH).observed_share == 50_000
    assert row(Flag(task="t", mode=Mode.MIRROR), BOTH).exposed_share == 100_000
    assert row(Flag(task="t", mode=Mode.LEGACY, shadow_share=50_000), BOTH).observed_share == 0


def test_served_and_flagged_tasks_are_listed_once_and_globs_are_not_tasks() -> None:
    flags = {"a.one": Flag(task="a.one"), "a.*": Flag(task="a.*", mode=Mode.EVENTS)}
    rows = task_rows(["a.one", "a.two"], FlagSnapshot(version=1, flags=flags), NOTHING, {"a.one": BOTH, "a.two": BOTH})
    assert [(row.task, row.flag.mode) for row in rows] == [("a.one", Mode.LEGACY), ("a.two", Mode.EVENTS)]


def test_search_and_filter_narrow_the_list() -> None:
    rows = [row(Flag(task="cart.merge"), BOTH), row(Flag(task="order.pay"), {})]
    assert [found.task for found in matching(rows, "CART", "")] == ["cart.merge"]
    assert [found.task for found in matching(rows, "", "no worker")] == ["order.pay"]
