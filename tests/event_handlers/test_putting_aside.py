"""Ordinary events, and those that become dead letters, on each broker."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dualrun.broker import Message
from dualrun.contracts import State, headers_of
from dualrun.contracts.topology import (
    EVENTS_EXCHANGE,
    HEADER_DEAD_REASON,
    HEADER_ETA,
    SHADOW_EXCHANGE,
    dead_letter_queue,
    service_queue,
    shadow_queue,
)
from event_handlers import Context, DoNotRetry, handler
from tests.event_handlers.conftest import World, any_handler
from tests.support.inbox import Inbox


async def dead_letter(world: World, queue: str) -> tuple[Message, str]:
    """The next message put aside, and why."""
    inbox = Inbox()
    consumer = await world.broker.consume(dead_letter_queue(queue), inbox, prefetch=10)
    delivery = await inbox.take()
    delivery.ack()
    await consumer.cancel()
    return delivery.message, str(delivery.message.headers.get(HEADER_DEAD_REASON))


class OutOfStock(Exception):
    pass


async def test_an_ordinary_event_is_handled_and_yields_no_outcome(world: World) -> None:
    handled: asyncio.Queue[str | None] = asyncio.Queue()

    @handler(world.task)
    async def work(ctx: Context) -> None:
        await handled.put(ctx.submission_id)

    await world.start(work)
    event = world.event({})
    await world.send(event)
    async with asyncio.timeout(30):
        assert await handled.get() is None
    marker = await world.submit({})
    await world.outcome(marker)
    assert not world.has_outcome(event.id)


async def test_an_ordinary_event_that_fails_too_often_is_put_aside_with_its_reason(world: World) -> None:
    @handler(world.task, max_attempts=2, retry_delay_s=0.1, retry_on=(OutOfStock,))
    async def fail() -> None:
        raise OutOfStock("none left")

    await world.start(fail)
    event = world.event({})
    await world.send(event)
    message, reason = await dead_letter(world, service_queue(world.service))
    assert message.message_id == event.id
    assert reason == "failed after 2 attempts: OutOfStock: none left"


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, b"{}", "specversion"),
        (None, b"[1]", "not a JSON object"),
        (None, b"{", "not a JSON object"),
        ({HEADER_ETA: "soon"}, b"{}", HEADER_ETA),
        ({"dualrun-role": "shadow"}, b"{}", "authority lane"),
        ({"dualrun-attempt": "many"}, b"{}", "dualrun-attempt"),
        ({"dualrun-attempt": "0"}, b"{}", "dualrun-attempt"),
        ({"dualrun-attempt": f"{10**30}"}, b"{}", "dualrun-attempt"),
        ({"dualrun-redirects": f"{10**30}"}, b"{}", "dualrun-redirects"),
        ({"dualrun-flag-version": "-1"}, b"{}", "dualrun-flag-version"),
        ({HEADER_ETA: "0001-01-01T00:00:00+14:00"}, b"{}", HEADER_ETA),
    ],
)
async def test_an_unreadable_message_is_put_aside_and_blocks_nothing(
    world: World, headers: dict[str, str] | None, body: bytes, reason: str
) -> None:
    await world.start(any_handler(world.task))
    sent = headers if headers == {} else {**headers_of(world.event({})), **(headers or {})}
    await world.broker.publish(EVENTS_EXCHANGE, world.task, Message(body=body, headers=sent))
    message, why = await dead_letter(world, service_queue(world.service))
    assert message.body == body
    assert why.startswith("unreadable: ")
    assert reason in why
    assert (await world.outcome(await world.submit({}))).state is State.SUCCEEDED


async def test_an_event_without_a_handler_is_put_aside(world: World) -> None:
    await world.start(any_handler(world.task))
    event = world.event({}, task=f"{world.task}.other")
    await world.broker.publish("", service_queue(world.service), Message(body=b"{}", headers=headers_of(event)))
    _, reason = await dead_letter(world, service_queue(world.service))
    assert reason == f"no handler for '{world.task}.other'"


async def test_a_message_in_the_shadow_lane_that_is_no_shadow_never_runs(world: World) -> None:
    ran = asyncio.Event()

    @handler(world.task)
    async def work() -> None:
        ran.set()

    await world.start(work)
    await world.send(world.event({}), SHADOW_EXCHANGE)
    _, reason = await dead_letter(world, shadow_queue(world.service))
    assert "shadow lane" in reason
    assert not ran.is_set()


async def test_a_handler_that_failed_is_logged_with_its_traceback_unless_it_said_no_itself(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    @handler(world.task)
    async def work(how: str) -> None:
        raise DoNotRetry("no") if how == "refused" else KeyError("lost")

    await world.start(work)
    with caplog.at_level(logging.WARNING):
        for how in ("refused", "failed", 7):
            await world.outcome(await world.submit({"how": how}))
    failed = [record for record in caplog.records if record.message == "event_failed"]
    assert [(record.__dict__["error"], record.exc_info is not None) for record in failed] == [
        ("DoNotRetry", False),
        ("KeyError", True),
        ("InvalidPayload", False),
    ]
