"""Rolling back, on every flag store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from dualrun.contracts import Mode, Safety
from gateway.core.errors import FlagConflict, NotFound
from gateway.core.flags import Flag
from gateway.core.ports import FlagStore
from gateway.core.targeting import Condition, Operator, Rule
from gateway.flags import MemoryFlagStore, RedisFlagStore
from gateway.usecases.roll_back import RolledBack
from tests.support.gating import Way

CART = Flag(task="cart.merge", mode=Mode.CANARY, events_share=50_000, shadow_share=100_000, safety=Safety.PURE, salt="s")
ORDERS = Flag(task="order.*", mode=Mode.EVENTS)
QUIET = Flag(task="auth.clean", shadow_share=5)
SERVED = ("cart.merge", "order.send", "order.pay", "auth.login", *(f"other.{n}" for n in range(4)))


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[FlagStore]:
    made: MemoryFlagStore | RedisFlagStore = MemoryFlagStore()
    if request.param == "redis":
        made = RedisFlagStore(request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix"))
    await made.start()
    await _put(made, CART, ORDERS, QUIET)
    yield made
    await made.stop()


async def _put(store: FlagStore, *flags: Flag) -> None:
    await store.replace({flag.task: flag for flag in flags}, expected_version=None, author="ann", reason="", source="api")


def _way(store: FlagStore) -> Way:
    return Way(store, serves=SERVED)


async def _task(store: FlagStore, task: str, to_version: int | None = None) -> RolledBack:
    return await _way(store).roll_back.task(task, to_version=to_version, author="ben", reason="mails twice", source="cli")


async def _everything(store: FlagStore, to_version: int | None = None) -> RolledBack:
    return await _way(store).roll_back.everything(to_version=to_version, author="ben", reason="", source="api")


async def test_a_task_goes_to_legacy_alone_and_keeps_its_cohorts_and_safety_class(store: FlagStore) -> None:
    done = await _task(store, CART.task)
    assert store.snapshot.flags == {**_by_name(ORDERS, QUIET), CART.task: Flag(task=CART.task, safety=Safety.PURE, salt="s")}
    assert (done.snapshot, done.snapshot.author, done.snapshot.reason, done.snapshot.source) == (
        store.snapshot,
        "ben",
        "mails twice",
        "cli",
    )


async def test_legacy_is_legacy_for_everybody_whatever_rules_said(store: FlagStore) -> None:
    moved = Rule(name="staff", when=(Condition(path="attributes.tenant", operator=Operator.EQ, value="acme"),), mode=Mode.EVENTS)
    ruled = Flag(task="auth.login", cohort_path="kwargs.user_id", rules=(moved,))
    await _put(store, ruled)
    await _task(store, ruled.task)
    assert store.snapshot.flags == _by_name(replace(ruled, rules=()))
    await _task(store, ruled.task, to_version=2)
    assert store.snapshot.flags == _by_name(ruled)


async def test_repeating_a_rollback_makes_no_version(store: FlagStore) -> None:
    assert (await _task(store, CART.task)).changes
    again = await _task(store, CART.task)
    assert (again.changes, again.snapshot.version, store.snapshot.version) == ((), 2, 2)
    assert (await _everything(store)).changes
    assert ((await _everything(store)).changes, store.snapshot.version) == ((), 3)


async def test_a_task_that_a_glob_names_gets_a_flag_of_its_own(store: FlagStore) -> None:
    await _task(store, "order.send")
    decided = {task: store.snapshot.flag_for(task) for task in ("order.send", "order.pay")}
    assert decided == {"order.send": Flag(task="order.send"), "order.pay": ORDERS}


async def test_a_flag_that_is_legacy_stays_as_it_is(store: FlagStore) -> None:
    assert (await _task(store, QUIET.task)).changes == ()
    await _everything(store)
    assert store.snapshot.flags[QUIET.task] == QUIET


async def test_everything_leaves_no_flag_but_legacy(store: FlagStore) -> None:
    done = await _everything(store)
    assert {change.task for change in done.changes} == {CART.task, ORDERS.task}
    assert {flag.mode for flag in store.snapshot.flags.values()} == {Mode.LEGACY}


async def test_everything_to_a_version_is_that_version_again(store: FlagStore) -> None:
    await _put(store, Flag(task="new.task", mode=Mode.EVENTS))
    done = await _everything(store, to_version=1)
    assert (done.snapshot.version, done.snapshot.flags) == (3, _by_name(CART, ORDERS, QUIET))
    assert (await _everything(store, to_version=1)).changes == ()


@pytest.mark.parametrize("now", [(), (ORDERS,), (Flag(task="order.send", mode=Mode.EVENTS),), (ORDERS, Flag(task="order.s*"))])
@pytest.mark.parametrize(
    "then", [(ORDERS,), (Flag(task="order.send", mode=Mode.CANARY, events_share=7),), (ORDERS, Flag(task="order.se*"))]
)
async def test_a_task_to_a_version_is_decided_as_then_whatever_globs_say_now(
    store: FlagStore, then: tuple[Flag, ...], now: tuple[Flag, ...]
) -> None:
    await _put(store, *then)
    before = store.snapshot.flag_for("order.send")
    await _put(store, CART, *now)
    await _task(store, "order.send", to_version=2)
    decided = store.snapshot.flag_for("order.send")
    assert before is not None
    assert decided is not None
    assert (decided.mode, decided.events_share) == (before.mode, before.events_share)
    assert store.snapshot.flags[CART.task] == CART
    assert (await _task(store, "order.send", to_version=2)).changes == ()


async def test_a_task_no_flag_named_then_is_on_legacy_afterwards(store: FlagStore) -> None:
    await _put(store, CART)
    await _put(store, CART, ORDERS)
    await _task(store, "order.send", to_version=2)
    decided = store.snapshot.flag_for("order.send")
    assert decided is not None
    assert decided.mode is Mode.LEGACY


async def test_a_misspelt_task_and_a_version_that_is_not_kept_are_not_found(store: FlagStore) -> None:
    with pytest.raises(NotFound, match=r"did you mean cart\.merge\?"):
        await _task(store, "cart.merg")
    for to_version in (9, 2):
        with pytest.raises(NotFound, match="no flag version"):
            await _task(store, CART.task, to_version=to_version)
        with pytest.raises(NotFound, match="no flag version"):
            await _everything(store, to_version=to_version)
    assert store.snapshot.version == 1


async def test_a_rollback_wins_over_others_that_change_flags_all_the_time(store: FlagStore) -> None:
    stop, busy = asyncio.Event(), asyncio.Event()
    changed = 0

    async def change(task: str) -> None:
        nonlocal changed
        while not stop.is_set():
            flag = Flag(task=task, mode=Mode.EVENTS, salt=str(changed))
            try:
                await _way(store).change.set(flag, author="eve", reason="", source="api")
            except FlagConflict:
                continue
            changed += 1
            if changed == 8:
                busy.set()
            await asyncio.sleep(0)

    others = [asyncio.create_task(change(f"other.{n}")) for n in range(4)]
    await asyncio.wait_for(busy.wait(), 10)
    done = await asyncio.wait_for(_task(store, CART.task), 10)
    stop.set()
    await asyncio.gather(*others)
    assert [change.task for change in done.changes] == [CART.task]
    assert store.snapshot.flags[CART.task].mode is Mode.LEGACY
    assert {name for name in store.snapshot.flags if name.startswith("other.")} == {f"other.{n}" for n in range(4)}


def _by_name(*flags: Flag) -> Mapping[str, Flag]:
    return {flag.task: flag for flag in flags}


@pytest.mark.services
async def test_what_only_looks_rolled_back_from_here_is_rolled_back(redis_url: str, redis_prefix: str) -> None:
    here, there = (RedisFlagStore(redis_url, redis_prefix) for _ in range(2))
    await _put(here, Flag(task=CART.task))
    await _put(there, CART)
    assert here.snapshot.version == 1
    done = await _task(here, CART.task)
    assert (done.snapshot.version, [change.task for change in done.changes]) == (3, [CART.task])
    for store in (here, there):
        await store.stop()
