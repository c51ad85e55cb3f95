"""Publishing and subscribing by pattern, on each broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dualrun.contracts.topology import HEADER_DEAD_REASON, dead_letter_queue
from event_handlers import Event, EventBus, EventHandler, Policy
from tests.event_handlers.conftest import World
from tests.support.inbox import Inbox


@pytest.fixture
async def bus(world: World) -> AsyncIterator[EventBus]:
    opened = EventBus(world.broker, world.service)
    await opened.start()
    yield opened
    await opened.stop()


class Heard:
    """A handler that keeps what it was given."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    async def __call__(self, event: Event) -> None:
        await self._events.put(event)

    async def take(self) -> Event:
        async with asyncio.timeout(30):
            return await self._events.get()

    @property
    def waiting(self) -> int:
        return self._events.qsize()


async def test_a_subscriber_gets_what_matches_and_nothing_else(world: World, bus: EventBus) -> None:
    one_word, any_words = Heard(), Heard()
    await bus.subscribe([f"{world.service}.*.created"], one_word, queue=f"{world.service}.a")
    await bus.subscribe([f"{world.service}.#"], any_words, queue=f"{world.service}.b")
    await bus.publish(f"{world.service}.user.created", {"id": 1}, subject="user/1")
    await bus.publish(f"{world.service}.user.deleted", {"id": 2})
    assert [(await any_words.take()).payload["id"] for _ in range(2)] == [1, 2]
    event = await one_word.take()
    assert (event.type, event.payload, event.subject, event.source) == (
        f"{world.service}.user.created",
        {"id": 1},
        "user/1",
        f"/{world.service}",
    )
    assert one_word.waiting == 0


async def test_subscribers_of_one_queue_share_the_work_and_those_of_others_get_copies(world: World, bus: EventBus) -> None:
    other = EventBus(world.broker, world.service)
    await other.start()
    shared, own = Heard(), Heard()
    for side in (bus, other):
        await side.subscribe([f"{world.task}"], shared, queue=f"{world.service}.shared")
    await other.subscribe([f"{world.task}"], own, queue=f"{world.service}.own")
    for number in range(6):
        await bus.publish(world.task, {"number": number})
    assert sorted([int(str((await shared.take()).payload["number"])) for _ in range(6)]) == list(range(6))
    assert [(await own.take()).payload["number"] for _ in range(6)] == list(range(6))
    assert shared.waiting == 0
    await other.stop()


async def test_a_subscription_made_before_the_start_works_after_it(world: World) -> None:
    heard = Heard()
    bus = EventBus(world.broker, world.service)
    await bus.subscribe([world.task], heard, queue=world.service)
    await bus.start()
    await bus.publish(world.task, {})
    assert (await heard.take()).type == world.task
    await bus.stop()


async def test_a_failing_subscriber_is_tried_by_its_policy_and_then_put_aside(world: World, bus: EventBus) -> None:
    class Failing(EventHandler):
        policy = Policy(max_attempts=2, retry_delays_s=(0.1,), retry_on=(KeyError,))
        event_types = frozenset({world.task})
        tries = 0

        async def handle(self, event: Event) -> None:
            self.tries += 1
            raise KeyError(event.type)

    failing = Failing()
    await bus.subscribe(failing.event_types, failing, queue=f"{world.service}.failing")
    event = await bus.publish(world.task, {})
    dead = Inbox()
    await world.broker.consume(dead_letter_queue(f"dualrun.events.{world.service}.failing"), dead, prefetch=1)
    delivery = await dead.take()
    delivery.ack()
    assert delivery.message.message_id == event.id
    assert str(delivery.message.headers[HEADER_DEAD_REASON]).startswith("failed after 2 attempts: KeyError")
    assert failing.tries == 2


@pytest.mark.parametrize("payload", [[1], "text", None])
async def test_a_payload_that_is_no_object_is_refused(bus: EventBus, payload: object) -> None:
    with pytest.raises(TypeError, match="object"):
        await bus.publish("anything", payload)
