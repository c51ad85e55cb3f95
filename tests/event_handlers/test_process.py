"""`python -m event_handlers` as a process: it starts, waits, drains and crashes without losing anything."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from redis import Redis

from dualrun.announce_redis import catalogue_key, workers_key
from dualrun.broker import Topology
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts import Side, State
from dualrun.contracts.topology import service_queue
from event_handlers.service_topology import service_topology
from gateway.catalogue import RedisBreakers
from tests.event_handlers.conftest import World
from tests.support.eventually import becomes
from tests.support.processes import Process, free_port

pytestmark = [pytest.mark.services, pytest.mark.e2e]

HANDLERS = """
    import asyncio, os, pathlib
    from event_handlers import handler

    @handler({task!r})
    async def work(number: int, seconds: float = 0.0) -> int:
        with pathlib.Path({journal!r}).open("a") as journal:
            journal.write(f"{{number}}\\n")
        await asyncio.sleep(seconds)
        return number * 2
"""

FAILING = """
    from event_handlers import Breaker, handler

    @handler({task!r}, retry_on=(OSError,), breaker=Breaker(failures=4, reset_s=60.0))
    async def work() -> None:
        raise ConnectionError("down")
"""


@pytest.fixture
async def world(amqp_url: str) -> AsyncIterator[World]:
    opened = World(RabbitBroker(amqp_url, name="test"))
    await opened.open()
    yield opened
    await opened.close()


class Shop:
    """A handler module in a folder of its own, and the worker process that serves it."""

    def __init__(self, world: World, folder: Path, env: Mapping[str, str]) -> None:
        self.journal = folder / "journal"
        self.journal.touch()
        text = dedent(HANDLERS).format(task=world.task, journal=str(self.journal))
        (folder / "proj_handlers.py").write_text(text)
        self._world = world
        self._env = {"PYTHONPATH": f"{folder}:{Path.cwd()}", **env}

    def worker(self, *options: str) -> Process:
        command = [sys.executable, "-m", "event_handlers", "--handlers", "proj_handlers", "--service", self._world.service, *options]
        return Process("event worker", command, env=self._env)

    def begun(self) -> list[int]:
        return [int(line) for line in self.journal.read_text().split()]


@pytest.fixture
def shop(world: World, tmp_path: Path, amqp_url: str, redis_url: str, redis_prefix: str) -> Shop:
    redis = {"DUALRUN_REDIS_URL": redis_url, "DUALRUN_REDIS_PREFIX": redis_prefix, "DUALRUN_CLAIM_LEASE_S": "1"}
    return Shop(world, tmp_path, {"DUALRUN_AMQP_URL": amqp_url, **redis})


async def ready(process: Process, count: int = 1) -> None:
    await asyncio.to_thread(process.wait_for_output, "event_worker_ready", count=count)


async def test_sigterm_in_the_middle_of_work_loses_and_doubles_nothing(world: World, shop: Shop) -> None:
    await world.broker.declare(service_topology(world.service, [world.task]))
    submitted = [await world.submit({"number": number, "seconds": 0.2}) for number in range(30)]
    with shop.worker("--concurrency", "4", "--drain-s", "10") as first:
        await world.outcome(submitted[0])
        first.terminate()
        assert await asyncio.to_thread(first.wait) == 0
    begun = len(shop.begun())
    assert 4 <= begun < 30
    await becomes(lambda: world.ready(service_queue(world.service)), 30 - begun)

    with shop.worker("--concurrency", "10") as second:
        outcomes = await world.outcomes(submitted[1:])
        assert second.stop() == 0
    assert [outcome.value for outcome in outcomes] == [number * 2 for number in range(1, 30)]
    assert Counter(shop.begun()) == Counter(range(30))
    assert not any(world.has_outcome(submission_id) for submission_id in submitted)


async def test_a_crash_in_the_middle_of_work_loses_nothing(world: World, shop: Shop) -> None:
    await world.broker.declare(service_topology(world.service, [world.task]))
    submitted = [await world.submit({"number": number, "seconds": 0.2}) for number in range(12)]
    with shop.worker("--concurrency", "4") as process:
        await world.outcome(submitted[0])
        await asyncio.to_thread(process.kill)
        process.start()
        outcomes = await world.outcomes(submitted[1:])
    assert all(outcome.state is State.SUCCEEDED for outcome in outcomes)
    assert set(shop.begun()) == set(range(12))


async def test_work_that_outlasts_the_drain_is_left_for_the_next_worker(world: World, shop: Shop) -> None:
    with shop.worker("--drain-s", "0.2") as first:
        await ready(first)
        submission_id = await world.submit({"number": 1, "seconds": 60})
        await becomes(_as_awaited(shop.begun), [1])
        first.terminate()
        assert await asyncio.to_thread(first.wait) == 0
    await becomes(lambda: world.ready(service_queue(world.service)), 1)
    assert not world.has_outcome(submission_id)


async def test_a_second_signal_ends_the_drain(world: World, shop: Shop) -> None:
    with shop.worker("--drain-s", "60") as process:
        await ready(process)
        await world.submit({"number": 1, "seconds": 60})
        await becomes(_as_awaited(shop.begun), [1])
        process.terminate()
        await asyncio.to_thread(process.wait_for_output, "event_worker_stopping")
        process.terminate()
        assert await asyncio.to_thread(process.wait) == 0
    await becomes(lambda: world.ready(service_queue(world.service)), 1)


async def test_it_announces_what_it_serves_and_withdraws_at_the_end(world: World, shop: Shop, redis_url: str, redis_prefix: str) -> None:
    with Redis.from_url(redis_url) as redis, shop.worker() as process:

        async def workers() -> int:
            return len(await asyncio.to_thread(redis.hkeys, workers_key(redis_prefix, Side.EVENTS)))

        await becomes(workers, 1)
        assert await asyncio.to_thread(redis.hkeys, catalogue_key(redis_prefix, Side.EVENTS)) == [world.task.encode()]
        assert await asyncio.to_thread(process.stop) == 0
        await becomes(workers, 0)
        assert await asyncio.to_thread(redis.hkeys, catalogue_key(redis_prefix, Side.EVENTS)) == [world.task.encode()]


async def test_it_waits_for_a_broker_that_is_not_there_and_can_be_stopped_meanwhile(world: World, tmp_path: Path) -> None:
    shop = Shop(world, tmp_path, {"DUALRUN_AMQP_URL": f"amqp://guest:guest@127.0.0.1:{free_port()}/"})
    with shop.worker() as process:
        await asyncio.to_thread(process.wait_for_output, "broker_awaited")
        process.terminate()
        assert await asyncio.to_thread(process.wait) == 0


async def test_handlers_that_are_not_there_end_it_with_a_reason(world: World, shop: Shop) -> None:
    with shop.worker("--handlers", "nowhere.at_all") as process:
        assert await asyncio.to_thread(process.wait) == 2
        assert "configuration_unusable" in process.output
        assert "nowhere.at_all" in process.output


async def test_a_queue_declared_otherwise_ends_it_with_a_reason(world: World, shop: Shop) -> None:
    other = service_topology(world.service, [world.task], shadow_max_length=5)
    await world.broker.declare(Topology(exchanges=other.exchanges, queues=other.queues, bindings=other.bindings))
    with shop.worker() as process:
        assert await asyncio.to_thread(process.wait) == 2
        assert f"dualrun.shadow.{world.service}" in process.output


def _as_awaited(look: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def awaited() -> object:
        return look()

    return awaited


async def test_two_processes_count_one_breakers_failures_where_the_gateway_reads_them(
    world: World, shop: Shop, tmp_path: Path, redis_url: str, redis_prefix: str
) -> None:
    (tmp_path / "proj_handlers.py").write_text(dedent(FAILING).format(task=world.task))
    reader = RedisBreakers(redis_url, redis_prefix)
    with shop.worker("--processes", "2") as process:
        await ready(process, 2)
        for _ in range(4):
            assert (await world.outcome(await world.submit({}))).state is State.FAILED
        (shown,) = await reader.read()
        assert (shown.service, shown.name, shown.state, shown.failures) == (world.service, world.task, "open", 4)
        assert await asyncio.to_thread(process.stop) == 0
    await reader.stop()
