"""Events whose workers are lost again and again while they handle them: they end as dead letters, claimed or not."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts import State
from dualrun.contracts.topology import HEADER_DEAD_REASON, dead_letter_queue, service_queue
from dualrun.inbox import Claim, ClaimRequest, ClaimState, claim_key
from dualrun.inbox_memory import MemoryInbox
from event_handlers import handler
from event_handlers.service_topology import DELIVERY_LIMIT
from tests.event_handlers.conftest import World, any_handler
from tests.support.eventually import becomes
from tests.support.inbox import Inbox
from tests.support.processes import Process

KILLER = """
    import os, signal
    from event_handlers import handler

    @handler({task!r})
    async def work() -> None:
        with open({runs!r}, "a") as runs:
            runs.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
"""


async def lost_claims(inbox: MemoryInbox, key: str, times: int) -> None:
    """So many workers took it and were never heard of again."""
    for number in range(times):
        (answer,) = await inbox.claim([ClaimRequest(key, f"lost {number}", 1)])
        assert answer == Claim(ClaimState.OURS, lost=number)
        await asyncio.sleep(inbox.lease_s * 1.5)


async def test_what_took_its_worker_down_too_often_is_put_aside_unrun_and_may_be_replayed(world: World) -> None:
    ran = asyncio.Event()

    @handler(world.task)
    async def work() -> None:
        ran.set()

    inbox = MemoryInbox(lease_s=0.02)
    key = claim_key(service_queue(world.service), "s-1")
    await lost_claims(inbox, key, DELIVERY_LIMIT + 1)
    inbox.lease_s = 30.0
    await world.start(work, inbox=inbox)
    await world.submit({}, headers={"dualrun-submission-id": "s-1"})
    dead = Inbox()
    await world.broker.consume(dead_letter_queue(service_queue(world.service)), dead, prefetch=10)
    delivery = await dead.take()
    assert delivery.message.headers[HEADER_DEAD_REASON] == "the worker was lost while handling it 6 times"
    assert not ran.is_set()
    delivery.ack()
    assert await inbox.claim([ClaimRequest(key, "replay", 1)]) == [Claim(ClaimState.OURS)]


async def test_what_took_its_worker_down_as_often_as_is_allowed_is_run_once_more(world: World) -> None:
    inbox = MemoryInbox(lease_s=0.02)
    await lost_claims(inbox, claim_key(service_queue(world.service), "s-1"), DELIVERY_LIMIT)
    inbox.lease_s = 30.0
    await world.start(any_handler(world.task), inbox=inbox)
    await world.submit({}, headers={"dualrun-submission-id": "s-1"})
    assert (await world.outcome("s-1")).state is State.SUCCEEDED


@pytest.mark.services
@pytest.mark.e2e
@pytest.mark.parametrize("claims", [True, False], ids=["claimed", "unclaimed"])
async def test_a_handler_that_kills_its_worker_is_tried_six_times_with_and_without_claims(
    amqp_url: str, redis_url: str, redis_prefix: str, tmp_path: Path, claims: bool
) -> None:
    world = World(RabbitBroker(amqp_url, name="test"))
    await world.open()
    runs = tmp_path / "runs"
    (tmp_path / "killing_handlers.py").write_text(dedent(KILLER).format(task=world.task, runs=str(runs)))
    redis = {"DUALRUN_REDIS_URL": redis_url, "DUALRUN_REDIS_PREFIX": redis_prefix, "DUALRUN_CLAIM_LEASE_S": "0.5"}
    env = {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "DUALRUN_AMQP_URL": amqp_url, **(redis if claims else {})}
    command = [sys.executable, "-m", "event_handlers", "--handlers", "killing_handlers", "--service", world.service]
    worker = await world.start(any_handler(world.task))
    await worker.stop()
    await world.submit({})
    dead = dead_letter_queue(service_queue(world.service))
    with Process("event worker", command, env=env) as process:
        for number in range(1, DELIVERY_LIMIT + 2):
            assert await asyncio.to_thread(process.wait) < 0
            assert len(runs.read_text()) == number
            process.start()
        await becomes(lambda: world.ready(dead), 1)
    assert len(runs.read_text()) == DELIVERY_LIMIT + 1
    await world.close()
