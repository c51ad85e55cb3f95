"""The TCP connection between a worker and RabbitMQ: cut, delayed, frozen, half open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.conftest import CONCURRENCY, Trial, events_wanted
from tests.faults.toll import GROWTH_MAX_BYTES, in_no_busy_loop, memory_bytes
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.services, pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def proxied_url(proxied_url: str) -> str:
    """With a heartbeat that notices within seconds what a silent link is."""
    return urlsplit(proxied_url)._replace(query="heartbeat=1").geturl()


async def test_every_event_ends_whatever_happens_to_the_link(
    tmp_path: Path, amqp_url: str, proxied_url: str, proxy: TcpProxy, redis_url: str, redis_prefix: str
) -> None:
    async with Trial(tmp_path, amqp_url=amqp_url, redis_url=redis_url, redis_prefix=redis_prefix, work_s=0.05) as trial:
        worker = trial.worker("worker", amqp_url=proxied_url)
        await trial.publish(100)
        await trial.until_all_ended()
        size, cuts, count = memory_bytes(worker), 0, events_wanted(500) // 5
        for fault in ("cut", "delay", "half_open", "freeze", "refuse"):
            ended = trial.ended
            await trial.publish(count)
            await trial.until(ended + count // 5)
            match fault:
                case "cut":
                    for _ in range(3):
                        proxy.cut()
                        await asyncio.sleep(0.2)
                case "delay":
                    proxy.delay_s = 0.05
                case "half_open" | "freeze":
                    before = proxy.links
                    getattr(proxy, fault)()
                    # The worker gives up on the silent link by itself; until the proxy thaws, no other one comes about.
                    with in_no_busy_loop(worker):
                        await asyncio.wait_for(proxy.linked(before + 1), 60)
                    proxy.thaw()
                case "refuse":
                    proxy.refuse()
                    proxy.cut()
                    with in_no_busy_loop(worker):
                        await asyncio.sleep(1.0)
                    await proxy.listen()
            await trial.until_all_ended()
            proxy.delay_s = 0.0
            cuts += 1
        await trial.check()
        assert memory_bytes(worker) - size < GROWTH_MAX_BYTES
        assert trial.repeats() <= (cuts + 3) * CONCURRENCY
