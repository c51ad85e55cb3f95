"""Notices wake those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.core.ports import OutcomeNotices
from gateway.outcomes.notices import MemoryNotices, RedisNotices
from tests.support.wire import Wire, redis_wire


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def wire(request: pytest.FixtureRequest) -> AsyncIterator[Wire[OutcomeNotices]]:
    if request.param == "memory":
        notices = MemoryNotices()
        yield Wire(notices, notices)
        return
    url, prefix = str(request.getfixturevalue("redis_url")), str(request.getfixturevalue("redis_prefix"))
    async with redis_wire(lambda: RedisNotices(url, prefix)) as ends:
        yield ends


async def begun(*waits: asyncio.Task[bool]) -> None:
    """Let the tasks get as far as waiting."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)


async def test_a_notice_wakes_everybody_who_waits_for_it_and_nobody_else(wire: Wire[OutcomeNotices]) -> None:
    first, second = (asyncio.create_task(wire.there.wait("s1", 10)) for _ in range(2))
    other = asyncio.create_task(wire.there.wait("s2", 10))
    await begun(first, second, other)
    await wire.here.notify(["s0", "s1"])
    assert all(await asyncio.gather(first, second))
    assert not other.done()
    await wire.here.notify(["s2"])
    assert await other


async def test_without_a_notice_the_wait_ends_with_its_time(wire: Wire[OutcomeNotices]) -> None:
    assert await wire.there.wait("s1", 0.01) is False


async def test_who_gave_up_waiting_leaves_nothing_behind() -> None:
    notices = MemoryNotices()
    waiting = asyncio.create_task(notices.wait("s1", 10))
    await begun(waiting)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert notices._waiting == {}


async def test_notifying_of_nothing_is_nothing(wire: Wire[OutcomeNotices]) -> None:
    await wire.here.notify([])


async def test_without_redis_notices_of_this_process_still_arrive() -> None:
    notices = RedisNotices("redis://127.0.0.1:1/0", "p:")
    waiting = asyncio.create_task(notices.wait("s1", 10))
    await begun(waiting)
    await notices.notify(["s1"])
    assert await waiting
    assert "Redis" in str(await notices.probe())
    await notices.stop()


@pytest.mark.services
async def test_a_subscription_lost_is_taken_up_again(redis_url: str, redis_prefix: str) -> None:
    async with redis_wire(lambda: RedisNotices(redis_url, redis_prefix)) as wire:
        await wire.there._redis.connection_pool.disconnect()
        waiting = asyncio.create_task(wire.there.wait("s1", 20))
        while not waiting.done():
            await wire.here.notify(["s1"])
            await asyncio.wait([waiting], timeout=0.05)
        assert await waiting
        assert await wire.there.probe() is None
