"""What a change needs before it takes a task forward, whichever way it is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from dualrun.contracts import Announcement, Mode, Safety, Side
from gateway.catalogue.memory import MemoryCatalogue
from gateway.core.errors import FlagHeld, FlagRejected, NotProven, NotServed, StepRefused, StoreUnavailable
from gateway.core.flags import FULL_SHARE, Flag
from gateway.core.targeting import Condition, Operator, Rule
from tests.support.gating import GATE, TASK, Way, announcement

OTHER = "cart.merge"
STAFF = Rule(name="staff", when=(Condition(path="attributes.tenant", operator=Operator.EQ, value="staff"),), mode=Mode.EVENTS)
BY_ANN: dict[str, Any] = {"author": "ann", "reason": "", "source": "api"}
SHADOW = Flag(task=TASK, mode=Mode.SHADOW, shadow_share=FULL_SHARE, safety=Safety.PURE)
FURTHER = [
    SHADOW,
    Flag(task=TASK, mode=Mode.CANARY, events_share=1),
    Flag(task=TASK, mode=Mode.EVENTS),
    Flag(task=TASK, rules=(STAFF,)),
    Flag(task="shop.*", mode=Mode.EVENTS),
    Flag(task="*", mode=Mode.EVENTS),
]

_Change = Callable[[Way, Flag], Awaitable[object]]


async def _set(way: Way, flag: Flag, **more: object) -> object:
    return await way.change.set(flag, **{**BY_ANN, **more})


async def _apply(way: Way, *flags: Flag, **more: object) -> object:
    wanted = {flag.task: flag for flag in flags}
    return await way.change.replace_all(wanted, expected_version=None, **{**BY_ANN, **more})


async def _dry_run(way: Way, flag: Flag, *, reason: str = "", force: bool = False) -> object:
    return await way.change.check_all({flag.task: flag}, reason=reason, force=force)


async def _back_to(way: Way, flag: Flag) -> object:
    await way.flags.replace({flag.task: flag}, expected_version=None, author="ann", reason="", source="file")
    there = way.flags.snapshot.version
    await way.flags.replace({}, expected_version=None, author="ann", reason="", source="file")
    return await way.roll_back.task(flag.task, to_version=there, **BY_ANN)


async def _all_back_to(way: Way, flag: Flag) -> object:
    await way.flags.replace({flag.task: flag}, expected_version=None, author="ann", reason="", source="file")
    there = way.flags.snapshot.version
    await way.flags.replace({}, expected_version=None, author="ann", reason="", source="file")
    return await way.roll_back.everything(to_version=there, **BY_ANN)


def _leave(way: Way) -> None:
    way.catalogue.withdraw(announcement(Side.EVENTS, TASK))


def _never_there(way: Way) -> None:
    way.catalogue = MemoryCatalogue()
    way.catalogue.announce(announcement(Side.LEGACY, TASK))
    way.wire()


@pytest.mark.parametrize("absence", [_leave, _never_there])
@pytest.mark.parametrize("flag", FURTHER, ids=lambda flag: f"{flag.task} {flag.mode.value}")
@pytest.mark.parametrize("change", [_set, _apply, _dry_run, _back_to, _all_back_to])
async def test_no_flag_goes_forward_to_where_nobody_serves_the_task_whether_it_carries_a_gate_or_not(
    change: _Change, flag: Flag, absence: Callable[[Way], None]
) -> None:
    way = Way()
    absence(way)
    with pytest.raises(NotServed, match=TASK):
        await change(way, flag)
    assert not way.flags.snapshot.flags


@pytest.mark.parametrize("absence", [_leave, _never_there])
@pytest.mark.parametrize("flag", FURTHER, ids=lambda flag: f"{flag.task} {flag.mode.value}")
async def test_force_brings_nobody_to_where_nobody_is(flag: Flag, absence: Callable[[Way], None]) -> None:
    way = Way()
    absence(way)
    for change in (_set, _apply, _dry_run):
        with pytest.raises(NotServed):
            await change(way, flag, force=True, reason="they come in a minute")


@pytest.mark.parametrize("flag", FURTHER, ids=lambda flag: f"{flag.task} {flag.mode.value}")
async def test_where_somebody_serves_it_a_flag_without_a_gate_goes_forward_without_evidence(flag: Flag) -> None:
    for change in (_set, _apply, _dry_run, _back_to, _all_back_to):
        await change(Way(), flag)


async def test_nobody_can_say_who_is_there_while_redis_is_away() -> None:
    class Silent(MemoryCatalogue):
        @property
        def current(self) -> bool:
            return False

    way = Way()
    way.catalogue = Silent()
    way.wire()
    with pytest.raises(StoreUnavailable):
        await _set(way, SHADOW)


async def test_going_back_and_staying_ask_for_nobody() -> None:
    way = Way()
    await way.put(Flag(task=TASK, mode=Mode.EVENTS, rules=(STAFF,)))
    _leave(way)
    for flag in (Flag(task=TASK, mode=Mode.EVENTS, rules=(STAFF,), salt="s"), replace(SHADOW, rules=(STAFF,)), Flag(task=TASK)):
        await _set(way, flag)
    await way.roll_back.everything(to_version=None, **BY_ANN)


async def test_a_glob_is_asked_for_each_task_it_decides_and_for_no_other() -> None:
    way = Way(serves=("shop.refund",))
    way.catalogue.announce(Announcement(worker="l", side=Side.LEGACY, service="shop", tasks=announcement(Side.LEGACY, "shop.print").tasks))
    with pytest.raises(NotServed, match=r"shop\.print"):
        await _set(way, Flag(task="shop.*", mode=Mode.EVENTS))
    await _set(way, Flag(task="shop.print"))
    await _set(way, Flag(task="shop.*", mode=Mode.EVENTS))


GATED = Flag(task=TASK, mode=Mode.SHADOW, shadow_share=FULL_SHARE, safety=Safety.PURE, gate=GATE)


MOVED_BY_GLOB = [
    Flag(task="*", mode=Mode.EVENTS),
    Flag(task="shop.*", mode=Mode.CANARY, events_share=10_000, safety=Safety.PURE, gate=GATE),
]


@pytest.mark.parametrize("glob", MOVED_BY_GLOB, ids=lambda flag: flag.task)
async def test_a_task_that_loses_its_own_gated_flag_to_a_glob_is_asked_as_if_its_own_were_changed(glob: Flag) -> None:
    way = Way()
    await way.put(GATED)
    with pytest.raises(StepRefused, match=TASK) as caught:
        await _apply(way, glob)
    assert caught.value.errors[0].pointer == f"/flags/{glob.task}/mode"
    assert way.flags.snapshot.flags == {TASK: GATED}


async def test_a_glob_over_a_gated_task_goes_one_step_by_force_and_no_further() -> None:
    way = Way()
    await way.put(GATED)
    with pytest.raises(StepRefused, match="by force too"):
        await _apply(way, Flag(task="*", mode=Mode.EVENTS), force=True, reason="all of them")
    await _apply(way, Flag(task="*", mode=Mode.CANARY, events_share=10_000), force=True, reason="all of them")


async def test_a_held_task_stays_whoever_changes_what_decides_it_gate_or_not() -> None:
    way = Way(serves=(OTHER,))
    await way.put(replace(GATED, held=True), Flag(task=OTHER, held=True))
    for flags in ((Flag(task="*", mode=Mode.EVENTS),), (GATED, Flag(task=OTHER, mode=Mode.EVENTS))):
        with pytest.raises(FlagHeld):
            await _apply(way, *flags, force=True, reason="go")
    with pytest.raises(FlagHeld):
        await _set(way, Flag(task=OTHER, mode=Mode.EVENTS))


async def test_a_rule_of_a_gated_glob_asks_for_the_evidence_of_each_task() -> None:
    way = Way()
    glob = replace(GATED, task="shop.*", gate=replace(GATE, soak_s=0))
    await way.put(glob)
    ruled = replace(glob, rules=(Rule(name="staff", when=STAFF.when, mode=Mode.CANARY, events_share=1_000),))
    with pytest.raises(NotProven, match=TASK):
        await _set(way, ruled)
    assert way.flags.snapshot.version == 1


async def test_a_version_further_on_is_reached_by_promotion_and_not_by_a_rollback_to_it() -> None:
    way = Way()
    await way.put(replace(GATED, mode=Mode.EVENTS, shadow_share=0))
    await way.roll_back.task(TASK, to_version=None, **BY_ANN)
    for back in (way.roll_back.task(TASK, to_version=1, **BY_ANN), way.roll_back.everything(to_version=1, **BY_ANN)):
        with pytest.raises(StepRefused, match=f"dualrun flags promote {TASK}"):
            await back
    assert way.flags.snapshot.flags[TASK].mode is Mode.LEGACY


async def test_a_version_further_back_asks_for_nothing_with_a_gate_a_hold_and_nobody_there() -> None:
    way = Way()
    await way.put(GATED)
    await way.put(replace(GATED, mode=Mode.EVENTS, shadow_share=0, held=True))
    _never_there(way)
    await way.roll_back.task(TASK, to_version=1, **BY_ANN)
    assert way.flags.snapshot.flags[TASK] == replace(GATED, held=True)


@pytest.mark.parametrize("held", [(replace(GATED, held=True),), (replace(GATED, task="shop.*", held=True),)], ids=["own", "glob"])
@pytest.mark.parametrize("then", [(GATED,), (replace(GATED, task="shop.*"),), (replace(GATED, mode=Mode.LEGACY, gate=None),), ()])
async def test_no_rollback_to_a_version_releases_a_hold(then: tuple[Flag, ...], held: tuple[Flag, ...]) -> None:
    for everything in (False, True):
        way = Way()
        for flags in (then, held):
            wanted = {flag.task: flag for flag in flags}
            await way.flags.replace(wanted, expected_version=None, author="ann", reason="", source="api")
        if everything:
            await way.roll_back.everything(to_version=1, **BY_ANN)
        else:
            await way.roll_back.task(TASK, to_version=1, **BY_ANN)
        decided = way.flags.snapshot.flag_for(TASK)
        assert decided is not None
        assert decided.held


async def test_a_mistake_in_all_flags_points_into_the_flag_that_decides() -> None:
    way = Way()
    await way.put(GATED)
    with pytest.raises(FlagRejected) as caught:
        await _apply(way, replace(GATED, mode=Mode.CANARY, events_share=1))
    assert caught.value.errors[0].pointer == f"/flags/{TASK}/mode"
