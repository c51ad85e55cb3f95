"""A side that answers and has nobody left to do so."""

from __future__ import annotations

import logging

import pytest

from dualrun.contracts import Mode, Side
from gateway.catalogue.memory import MemoryCatalogue
from gateway.core.flags import Flag
from gateway.core.gate import CheckName, GateAction, GateVerdict
from gateway.core.gate_settings import OnWorkerLoss
from gateway.core.routing import answering_sides
from gateway.usecases.watch_workers import WatchWorkers
from tests.support.gating import TASK, Way, announcement


def _leave(way: Way, *sides: Side) -> None:
    for side in sides:
        way.catalogue.withdraw(announcement(side, TASK))


async def _looks(way: Way, watch: WatchWorkers, *waits_s: float) -> list[GateVerdict]:
    changed = []
    for wait_s in waits_s:
        way.wait(wait_s)
        changed += await watch.look()
    return changed


async def test_a_lost_last_worker_is_told_after_the_grace_and_once(caplog: pytest.LogCaptureFixture) -> None:
    way = Way()
    before = await way.stand("events")
    _leave(way, Side.EVENTS)
    watch = way.watch(grace_s=15)
    with caplog.at_level(logging.ERROR):
        assert await _looks(way, watch, 0, 14) == []
        assert watch.lost == frozenset()
        assert await _looks(way, watch, 1, 60) == []
    assert watch.lost == {(TASK, Side.EVENTS)}
    assert [record.message for record in caplog.records] == ["last_worker_lost"]
    told = await way.ledger.latest_verdict(TASK)
    assert told is not None
    assert (told.ordinal, told.verdict.why_not, told.verdict.checks[0].name) == (1, "on_worker_loss: alert", CheckName.WORKERS)
    assert way.flags.snapshot == before


@pytest.mark.parametrize("step", ["canary 10 %", "mirror 100 %", "events"])
async def test_where_the_flag_says_so_legacy_takes_over(step: str) -> None:
    way = Way()
    await way.stand(step, on_worker_loss=OnWorkerLoss.ROLLBACK)
    _leave(way, Side.EVENTS)
    (verdict,) = await _looks(way, way.watch(), 0, 20, 20)
    assert (verdict.action, verdict.changed_to) == (GateAction.ROLL_BACK, way.flags.snapshot.version)
    assert way.flags.snapshot.flags[TASK].mode is Mode.LEGACY
    assert way.flags.snapshot.evidence is not None


async def test_nothing_is_taken_back_to_where_nobody_is() -> None:
    way = Way()
    await way.stand("events", on_worker_loss=OnWorkerLoss.ROLLBACK)
    _leave(way, Side.EVENTS, Side.LEGACY)
    assert await _looks(way, way.watch(), 0, 20) == []


async def test_a_lost_legacy_worker_is_told_because_there_is_nothing_to_go_back_to() -> None:
    way = Way()
    await way.stand("shadow 100 %", on_worker_loss=OnWorkerLoss.ROLLBACK)
    _leave(way, Side.LEGACY)
    watch = way.watch()
    assert await _looks(way, watch, 0, 20) == []
    assert watch.lost == {(TASK, Side.LEGACY)}


async def test_a_worker_that_comes_back_in_time_was_never_lost() -> None:
    way = Way()
    await way.stand("events", on_worker_loss=OnWorkerLoss.ROLLBACK)
    watch = way.watch()
    _leave(way, Side.EVENTS)
    await _looks(way, watch, 0, 10)
    way.catalogue.announce(announcement(Side.EVENTS, TASK))
    await _looks(way, watch, 1)
    _leave(way, Side.EVENTS)
    assert await _looks(way, watch, 1, 10) == []
    assert watch.lost == frozenset()


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.CANARY, Mode.MIRROR, Mode.EVENTS])
async def test_a_side_that_answers_and_was_never_there_is_a_loss_after_the_grace(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    way = Way()
    before = await way.put(Flag(task="shop.new", mode=mode, on_worker_loss=OnWorkerLoss.ROLLBACK))
    watch = way.watch(grace_s=15)
    with caplog.at_level(logging.ERROR):
        assert await _looks(way, watch, 0, 14) == []
        assert watch.lost == frozenset()
        assert await _looks(way, watch, 1, 60) == []
    assert watch.lost == {("shop.new", side) for side in answering_sides(mode)}
    assert {record.message for record in caplog.records} == {"last_worker_lost"}
    told = await way.ledger.latest_verdict("shop.new")
    assert told is not None
    assert "has ever announced the task" in told.verdict.reason
    assert way.flags.snapshot == before


async def test_where_legacy_is_there_a_task_leaves_an_events_side_that_never_came() -> None:
    way = Way()
    way.catalogue.announce(announcement(Side.LEGACY, TASK, "shop.new"))
    await way.put(Flag(task="shop.new", mode=Mode.EVENTS, on_worker_loss=OnWorkerLoss.ROLLBACK))
    (verdict,) = await _looks(way, way.watch(), 0, 20)
    assert (verdict.task, way.flags.snapshot.flags["shop.new"].mode) == ("shop.new", Mode.LEGACY)


async def test_a_task_taken_back_to_a_legacy_side_that_never_was_is_a_loss_and_a_name_nobody_knows_is_none() -> None:
    way = Way()
    way.catalogue.announce(announcement(Side.EVENTS, TASK, "shop.new"))
    await way.put(Flag(task="shop.new"), Flag(task="shop.typing_mistake"))
    watch = way.watch()
    assert await _looks(way, watch, 0, 60) == []
    assert watch.lost == {("shop.new", Side.LEGACY)}


class _Silent(MemoryCatalogue):
    """Redis is away: every worker seems gone."""

    @property
    def current(self) -> bool:
        return False

    def live_workers(self, side: Side, task: str) -> int:
        return 0


async def test_while_redis_is_away_no_worker_counts_as_lost() -> None:
    way = Way()
    await way.stand("events", on_worker_loss=OnWorkerLoss.ROLLBACK)
    way.catalogue = _Silent()
    for side in Side:
        way.catalogue.announce(announcement(side, TASK))
    assert await _looks(way, way.watch(), 0, 60, 60) == []
