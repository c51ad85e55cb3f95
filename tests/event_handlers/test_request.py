"""Asking and answering over the bus, on each broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from dualrun.broker import Message
from dualrun.contracts import Role, headers_of
from dualrun.contracts.topology import EVENTS_EXCHANGE, dead_letter_queue, service_queue
from dualrun.errors import NoReply, ShadowRefused, Unroutable
from dualrun.inbox import Change, Verb, claim_key, event_identity
from dualrun.inbox_memory import MemoryInbox
from event_handlers import Context, Event, EventBus, Policy, RequestFailed, Retry, current_context, handler
from event_handlers.replying import encode_reply, value_of
from tests.event_handlers.conftest import World


@pytest.fixture
async def bus(world: World) -> AsyncIterator[EventBus]:
    opened = EventBus(world.broker, world.service)
    await opened.start()
    yield opened
    await opened.stop()


async def test_a_request_returns_what_a_decorated_handler_returns(world: World, bus: EventBus) -> None:
    @handler(world.task)
    async def double(x: Decimal) -> Decimal:
        return x * 2

    await world.start(double)
    assert await bus.request(world.task, {"x": Decimal("1.50")}, deadline_s=30) == Decimal("3.00")


async def test_requests_at_one_time_get_their_own_answers(world: World, bus: EventBus) -> None:
    async def echo(event: Event) -> object:
        return event.payload["number"]

    await bus.subscribe([world.task], echo, queue=world.service)
    answers = await asyncio.gather(*(bus.request(world.task, {"number": number}, deadline_s=30) for number in range(20)))
    assert answers == list(range(20))


async def test_a_failure_comes_back_by_its_name_and_is_no_dead_letter(world: World, bus: EventBus) -> None:
    async def fail(event: Event) -> None:
        raise KeyError("chair")

    await bus.subscribe([world.task], fail, queue=world.service)
    with pytest.raises(RequestFailed, match="chair") as caught:
        await bus.request(world.task, {}, deadline_s=30)
    assert caught.value.kind == "KeyError"
    assert await world.ready(dead_letter_queue(service_queue(world.service))) == 0


async def test_the_answer_is_that_of_the_last_attempt(world: World, bus: EventBus) -> None:
    async def flaky(event: Event) -> int:
        context = current_context()
        assert context is not None
        if context.attempt == 1:
            raise Retry(delay_s=0.1)
        return context.attempt

    await bus.subscribe([world.task], flaky, queue=world.service, policy=Policy(max_attempts=2))
    assert await bus.request(world.task, {}, deadline_s=30) == 2


async def test_a_payload_the_handler_does_not_take_is_told_to_who_asked(world: World, bus: EventBus) -> None:
    @handler(world.task)
    async def work(x: int) -> int:
        return x

    await world.start(work)
    with pytest.raises(RequestFailed, match="x") as caught:
        await bus.request(world.task, {"x": "1"}, deadline_s=30)
    assert caught.value.kind == "InvalidPayload"


async def test_a_request_nobody_awaits_any_more_is_not_handled(world: World, bus: EventBus) -> None:
    handled: list[object] = []

    async def work(event: Event) -> None:
        handled.append(event.payload["late"])

    await bus.subscribe([world.task], work, queue=world.service)
    await bus.stop()
    with pytest.raises(NoReply):
        await bus.request(world.task, {"late": True}, deadline_s=0.1)
    await bus.start()
    await bus.request(world.task, {"late": False}, deadline_s=30)
    assert handled == [False]


async def test_a_request_nobody_listens_for_is_unroutable(bus: EventBus) -> None:
    with pytest.raises(Unroutable):
        await bus.request("nobody.listens", {}, deadline_s=60)


async def test_an_answer_a_crash_kept_back_is_sent_without_running_again(world: World) -> None:
    inbox = MemoryInbox()
    bus = EventBus(world.broker, world.service, inbox=inbox)
    await bus.start()
    await bus.subscribe([world.task], _never, queue=world.service)
    event = world.event({})
    key = claim_key(service_queue(world.service), event_identity(event.source, event.id))
    await inbox.change([Change(Verb.COMPLETE, key, result=b"r" + encode_reply(7, None))])
    message = Message(body=b"{}", headers=headers_of(event), message_id=event.id)
    assert value_of(await world.broker.request(EVENTS_EXCHANGE, event.type, message, timeout_s=30)) == 7
    await bus.stop()


async def _never(event: Event) -> None:
    raise AssertionError(event)


async def test_a_shadow_may_not_ask(world: World) -> None:
    @handler(world.task)
    async def ask(ctx: Context) -> None:
        await ctx.publisher.request("anything", {}, deadline_s=1)

    await world.start(ask)
    outcome = await world.outcome(await world.submit({}, role=Role.SHADOW))
    assert outcome.failure is not None
    assert outcome.failure.kind == ShadowRefused.__name__
