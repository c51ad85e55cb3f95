"""The queue of what was given back: however much waits in it, a gateway has its callers to serve and its flags to hear."""

from __future__ import annotations

import asyncio

from dualrun.broker import Message
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.redirect_topology import REDIRECT_LATER, REDIRECT_TOPOLOGY
from dualrun.contracts import Side
from dualrun.contracts.topology import (
    HEADER_FLAG_VERSION,
    HEADER_RECALLED_BY,
    HEADER_SIDE,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    REDIRECT_QUEUE,
    dead_letter_queue,
)
from gateway.core.errors import DispatchFailed
from gateway.core.redirect import GivenBack
from gateway.dispatch.redirects import RedirectConsumer
from tests.support.eventually import becomes

GIVEN_BACK = 200
FEW = 16


def celery_message(number: int) -> Message:
    headers = {
        HEADER_SIDE: "legacy",
        HEADER_SUBMISSION_ID: f"submission-{number}",
        HEADER_FLAG_VERSION: "1",
        HEADER_RECALLED_BY: "2",
        HEADER_SUBMITTED_AT: "2026-01-01T00:00:00+00:00",
        "task": "order.send_order_confirmation",
    }
    return Message(body=b"[[], {}, {}]", headers=headers, content_type="application/json", content_encoding="utf-8")


async def test_of_all_that_was_given_back_only_few_are_worked_on_at_a_time() -> None:
    broker = MemoryBroker()
    await broker.connect()
    await broker.declare(REDIRECT_TOPOLOGY)
    for number in range(GIVEN_BACK):
        await broker.publish("", REDIRECT_QUEUE, celery_message(number))
    begun: list[str] = []
    may_end = asyncio.Event()
    at_work = most_at_work = 0

    async def redirect(returned: GivenBack) -> None:
        nonlocal at_work, most_at_work
        begun.append(returned.submission.id)
        at_work += 1
        most_at_work = max(at_work, most_at_work)
        await may_end.wait()
        await asyncio.sleep(0)
        at_work -= 1

    async def count() -> int:
        return len(begun)

    consumer = RedirectConsumer(broker, redirect, lambda _: None)
    await consumer.start()
    await becomes(count, FEW)
    may_end.set()
    await becomes(count, GIVEN_BACK)
    await consumer.stop(1.0)
    assert (most_at_work, len(set(begun))) == (FEW, GIVEN_BACK)


async def test_what_cannot_go_on_now_is_in_nobodys_hand_and_goes_on_once_it_can() -> None:
    broker = MemoryBroker()
    await broker.connect()
    await broker.declare(REDIRECT_TOPOLOGY)
    is_served = False
    done: list[str] = []

    async def redirect(returned: GivenBack) -> None:
        if not is_served:
            raise DispatchFailed(Side.EVENTS, "no worker", maybe_published=False)
        done.append(returned.submission.id)

    async def waiting() -> int:
        depth = await broker.depth(REDIRECT_LATER)
        return 0 if depth is None else depth.ready

    async def count() -> int:
        return len(done)

    consumer = RedirectConsumer(broker, redirect, lambda _: None)
    await consumer.start()
    for number in range(GIVEN_BACK):
        await broker.publish("", REDIRECT_QUEUE, celery_message(number))
    await becomes(waiting, GIVEN_BACK)
    is_served = True
    await becomes(count, GIVEN_BACK)
    await consumer.stop(1.0)
    assert len(set(done)) == GIVEN_BACK


async def test_work_no_message_can_be_made_of_is_put_aside_with_its_reason() -> None:
    broker = MemoryBroker()
    await broker.connect()
    await broker.declare(REDIRECT_TOPOLOGY)

    async def redirect(returned: GivenBack) -> None:
        raise DispatchFailed(Side.EVENTS, "it takes no argument 'colour'", maybe_published=False, is_final=True)

    async def put_aside() -> int | None:
        depth = await broker.depth(dead_letter_queue(REDIRECT_QUEUE))
        return None if depth is None else depth.ready

    consumer = RedirectConsumer(broker, redirect, lambda _: None)
    await consumer.start()
    await broker.publish("", REDIRECT_QUEUE, celery_message(1))
    await becomes(put_aside, 1)
    await consumer.stop(1.0)
