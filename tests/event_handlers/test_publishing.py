"""What handlers publish, on each broker."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from dualrun.contracts import Effect, Role, State
from dualrun.errors import Unroutable
from event_handlers import Context, EventBus, handler
from tests.event_handlers.conftest import World, any_handler
from tests.support.inbox import Inbox


async def test_what_an_authority_publishes_leaves_and_is_noted(world: World) -> None:
    @handler(world.task)
    async def publish(ctx: Context) -> None:
        await ctx.publisher.publish(f"{world.task}.done", {"price": Decimal("1.50")})

    heard: asyncio.Queue[object] = asyncio.Queue()
    bus = EventBus(world.broker, world.service)
    await bus.subscribe([f"{world.task}.*"], lambda event: heard.put(event.payload), queue=f"{world.service}.listener")
    await bus.start()
    await world.start(publish)
    outcome = await world.outcome(await world.submit({}))
    price = {"price": {"__type__": "decimal", "__value__": "1.50"}}
    async with asyncio.timeout(30):
        assert await heard.get() == price
    assert outcome.effects == (Effect(kind="message", key=f"{world.task}.done", payload=price),)
    await bus.stop()


async def test_what_a_shadow_publishes_is_noted_and_does_not_leave(world: World) -> None:
    @handler(world.task)
    async def publish(ctx: Context) -> str:
        return (await ctx.publisher.publish(f"{world.task}.done", {"x": 1})).id

    heard = Inbox()
    bus = EventBus(world.broker, world.service)
    await bus.subscribe([f"{world.task}.*"], _never, queue=f"{world.service}.listener")
    await bus.start()
    await bus.stop()
    await world.start(publish)
    outcome = await world.outcome(await world.submit({}, role=Role.SHADOW))
    assert outcome.state is State.SUCCEEDED
    assert outcome.effects == (Effect(kind="message", key=f"{world.task}.done", payload={"x": 1}, performed=False),)
    assert await world.ready(f"dualrun.events.{world.service}.listener") == 0
    assert heard.waiting == 0


async def _never(event: object) -> None:
    raise AssertionError(event)


async def test_an_event_nobody_takes_is_an_error_unless_that_is_allowed(world: World) -> None:
    await world.start(any_handler(world.task))
    publisher = EventBus(world.broker, world.service).publisher
    with pytest.raises(Unroutable):
        await publisher.publish(f"{world.task}.unheard", {})
    event = await publisher.publish(f"{world.task}.unheard", {}, required=False, subject="s", headers={"x-own": "1"})
    assert (event.subject, event.headers["x-own"], event.source) == ("s", "1", f"/{world.service}")
