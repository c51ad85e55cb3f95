"""RabbitMQ and Redis killed and started again under workers; servers of our own, never the shared ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import CONCURRENCY, Trial, events_wanted
from tests.faults.toll import GROWTH_MAX_BYTES, come_to_rest, in_no_busy_loop, memory_bytes
from tests.support.own_redis import OwnRedis
from tools.services.found import NotFound
from tools.services.private import RabbitNode, start_rabbitmq_node

pytestmark = [pytest.mark.services, pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def node() -> Iterator[RabbitNode]:
    started = start_rabbitmq_node()
    if isinstance(started, NotFound):
        pytest.fail(f"no RabbitMQ of our own to break: {started.why}")
    yield started
    started.home.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with OwnRedis(tmp_path / "redis") as redis:
        yield redis


async def test_every_event_ends_although_rabbitmq_is_killed(tmp_path: Path, node: RabbitNode, redis_url: str, redis_prefix: str) -> None:
    async with Trial(tmp_path, amqp_url=node.url, redis_url=redis_url, redis_prefix=redis_prefix, work_s=0.03) as trial:
        worker = trial.worker("worker")
        count = events_wanted(400)
        await trial.publish(count * 3 // 4)
        await trial.until(count // 8)
        size = memory_bytes(worker)
        await asyncio.to_thread(node.kill)
        publishing = asyncio.create_task(trial.publish(count // 4))
        with in_no_busy_loop(worker):
            assert await asyncio.to_thread(node.start) is None
        await publishing
        await trial.until_all_ended()
        await trial.check()
        assert trial.repeats() <= CONCURRENCY
        assert memory_bytes(worker) - size < GROWTH_MAX_BYTES


async def test_every_event_ends_although_redis_is_killed_and_flushed(tmp_path: Path, amqp_url: str, own_redis: OwnRedis) -> None:
    async with Trial(tmp_path, amqp_url=amqp_url, redis_url=own_redis.url, redis_prefix="faults:", work_s=0.03) as trial:
        worker = trial.worker("worker")
        count = events_wanted(400)
        await trial.publish(count // 2)
        await trial.until(count // 8)
        size = memory_bytes(worker)
        own_redis.kill()
        # What waits for Redis waits in the broker.
        await come_to_rest(worker)
        own_redis.start()
        await trial.publish(count // 2)
        await trial.until(count * 5 // 8)
        own_redis.flush()
        await trial.until_all_ended()
        await trial.check()
        # Its handler would rather wait than run unclaimed: what was at work when Redis went is all that may have run again.
        assert trial.repeats() <= 2 * CONCURRENCY
        assert "event_worker_stopped" not in worker.output
        assert memory_bytes(worker) - size < GROWTH_MAX_BYTES
