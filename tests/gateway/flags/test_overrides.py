"""Rolling back while Redis is away: in force everywhere by broadcast, and a version of the store once it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from dualrun.broadcast import Broadcast
from dualrun.broker.memory import MemoryBroker
from dualrun.contracts import Mode, Side
from dualrun.contracts.recall import Overrides
from dualrun.in_force import FlagsInForce
from gateway.core.errors import StoreUnavailable
from gateway.core.flags import Flag
from gateway.flags.file import FlagsFile
from gateway.flags.redis import RedisFlagStore
from gateway.usecases.roll_back import RolledBack
from tests.gateway.flags.conftest import PrivateRedis
from tests.support.eventually import becomes
from tests.support.gating import Way

A, B = "a.task", "b.task"
MOVED = {name: Flag(task=name, mode=Mode.EVENTS) for name in (A, B)}


@pytest.fixture
async def broker() -> AsyncIterator[MemoryBroker]:
    broker = MemoryBroker()
    await broker.connect()
    yield broker
    await broker.close()


@asynccontextmanager
async def gateway(redis: PrivateRedis, broker: MemoryBroker, state: Path | None = None) -> AsyncIterator[RedisFlagStore]:
    """The store of one gateway process, with its ear."""
    broadcast = Broadcast(broker)
    store = RedisFlagStore(redis.url, "t:", broadcast=broadcast, last_known_good=None if state is None else state / "flags.json")
    await broadcast.start()
    await store.start()
    try:
        yield store
    finally:
        await store.stop()
        await broadcast.stop()


async def roll_back(store: RedisFlagStore, task: str = A) -> RolledBack:
    return await Way(store).roll_back.task(task, to_version=None, author="ann", reason="double mails", source="cli")


async def modes(store: RedisFlagStore) -> dict[str, str]:
    return {name: flag.mode.value for name, flag in store.snapshot.flags.items()}


async def moved(store: RedisFlagStore) -> int:
    return (await store.replace(MOVED, expected_version=None, author="", reason="", source="api")).version


async def test_a_rollback_without_redis_is_in_force_in_every_gateway_and_worker(private_redis: PrivateRedis, broker: MemoryBroker) -> None:
    in_force, ear = FlagsInForce(Side.EVENTS), Broadcast(broker)
    ear.listen(lambda notice: in_force.hear(msgspec.json.decode(notice, type=Overrides).overrides))
    await ear.start()
    async with gateway(private_redis, broker) as here, gateway(private_redis, broker) as there:
        version = await moved(here)
        await becomes(lambda: modes(there), {A: "events", B: "events"})
        private_redis.stop()
        done = await roll_back(here)
        assert (done.is_stored, done.snapshot.version) == (False, version + 1)
        await becomes(lambda: modes(there), {A: "legacy", B: "events"})
        assert (there.snapshot.version, in_force.recalled_before(A), in_force.recalled_before(B)) == (version + 1, version + 1, 0)
        again = await roll_back(there)
        assert (again.changes, again.snapshot.version) == ((), version + 1)
    await ear.stop()


async def test_it_becomes_one_version_when_redis_is_back(private_redis: PrivateRedis, broker: MemoryBroker) -> None:
    async with gateway(private_redis, broker) as here, gateway(private_redis, broker) as there:
        await moved(here)
        await becomes(lambda: modes(there), {A: "events", B: "events"})
        private_redis.stop()
        # At the same moment, by gateways that have not heard of each other.
        await asyncio.gather(roll_back(here, A), roll_back(there, B))
        await becomes(lambda: modes(here), {A: "legacy", B: "legacy"})
        before = here.snapshot.version
        private_redis.start()

        async def history() -> list[tuple[str, str]]:
            try:
                return [(kept.author, kept.source) for kept in await here.history()]
            except StoreUnavailable:
                return []

        await becomes(history, [("ann", "cli"), ("ann", "cli"), ("", "api")])
        assert await modes(here) == {A: "legacy", B: "legacy"}
        assert here.snapshot.version > before
        assert {name: v <= before for name, v in here.snapshot.recalls[Side.EVENTS].items()} == {A: True, B: True}
        await becomes(lambda: _version(there), here.snapshot.version)


async def test_a_gateway_that_starts_without_redis_hears_of_it_or_has_it_on_disk(
    private_redis: PrivateRedis, broker: MemoryBroker, tmp_path: Path
) -> None:
    async with gateway(private_redis, broker, tmp_path) as here:
        await moved(here)
        private_redis.stop()
        await roll_back(here)
        async with gateway(private_redis, broker) as late:
            await becomes(lambda: modes(late), {A: "legacy"})
    async with gateway(private_redis, broker, tmp_path) as again:
        assert await modes(again) == {A: "legacy", B: "events"}


async def test_a_rollback_in_the_file_holds_without_redis_and_a_step_forward_waits(
    private_redis: PrivateRedis, broker: MemoryBroker, tmp_path: Path
) -> None:
    path = tmp_path / "flags.yaml"
    async with gateway(private_redis, broker) as here:
        await moved(here)
        await here.replace(
            {**MOVED, B: replace(MOVED[B], mode=Mode.CANARY, events_share=5_000)}, expected_version=None, author="", reason="", source="api"
        )
        private_redis.stop()
        path.write_text("version: 1\nflags: {a.task: {mode: legacy}, b.task: {mode: events}}\n")
        file = FlagsFile(path, here)
        for _ in range(2):
            await file.apply()
        assert await modes(here) == {A: "legacy", B: "canary"}
        private_redis.start()

        async def applied() -> dict[str, str]:
            await file.apply()
            return await modes(here)

        await becomes(applied, {A: "legacy", B: "events"})


async def test_it_goes_back_to_a_version_this_process_has_seen(private_redis: PrivateRedis, broker: MemoryBroker) -> None:
    async with gateway(private_redis, broker) as here:
        version = await moved(here)
        await here.replace({A: Flag(task=A)}, expected_version=None, author="", reason="", source="api")
        private_redis.stop()
        await Way(here, serves=(A, B)).roll_back.everything(to_version=version, author="", reason="", source="api")
        assert await modes(here) == {A: "events", B: "events"}


async def _version(store: RedisFlagStore) -> int:
    return store.snapshot.version
