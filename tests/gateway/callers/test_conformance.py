"""What every counter of callers does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.callers import MemoryCallerCounts, RedisCallerCounts
from gateway.core.errors import StoreUnavailable
from gateway.core.ports import CallerAct, CallerCounts

TASK = "shop.charge"


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def counts(request: pytest.FixtureRequest) -> AsyncIterator[CallerCounts]:
    if request.param == "memory":
        yield MemoryCallerCounts()
        return
    store = RedisCallerCounts(str(request.getfixturevalue("redis_url")), str(request.getfixturevalue("redis_prefix")))
    await store.start()
    yield store
    await store.stop()


async def test_acts_are_counted_by_task(counts: CallerCounts) -> None:
    for _ in range(3):
        counts.note(TASK, CallerAct.RESULT_ASKED)
    counts.note(TASK, CallerAct.KEY_REPEATED)
    assert await counts.of_task(TASK) == {CallerAct.RESULT_ASKED: 3, CallerAct.KEY_REPEATED: 1}
    assert await counts.of_task("another") == {}


@pytest.mark.services
async def test_gateways_count_together(redis_url: str, redis_prefix: str) -> None:
    stores = [RedisCallerCounts(redis_url, redis_prefix) for _ in range(2)]
    for store in stores:
        store.note(TASK, CallerAct.RESULT_ASKED)
        await store.stop()
    reader = RedisCallerCounts(redis_url, redis_prefix)
    assert await reader.of_task(TASK) == {CallerAct.RESULT_ASKED: 2}
    await reader.stop()


async def test_while_redis_is_away_nothing_raises_but_reading() -> None:
    store = RedisCallerCounts("redis://127.0.0.1:1/0", "nowhere:")
    store.note(TASK, CallerAct.RESULT_ASKED)
    with pytest.raises(StoreUnavailable):
        await store.of_task(TASK)
    await store.stop()
