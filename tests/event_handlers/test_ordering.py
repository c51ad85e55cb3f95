"""Order within a key, on each broker."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from dualrun.contracts import Event
from dualrun.contracts.topology import HEADER_DEAD_REASON, dead_letter_queue, service_queue
from dualrun.inbox_memory import MemoryInbox
from event_handlers import EventBus, EventHistory, Policy
from tests.event_handlers.conftest import World
from tests.support.eventually import becomes
from tests.support.inbox import Inbox


def key_of(event: Event) -> str | None:
    return event.subject


async def test_order_is_kept_when_one_process_hands_over_to_another(world: World) -> None:
    handled: defaultdict[str, list[object]] = defaultdict(list)
    running: set[str] = set()

    async def work(event: Event) -> None:
        key = str(event.subject)
        assert key not in running
        running.add(key)
        await asyncio.sleep(0.002)
        running.discard(key)
        handled[key].append(event.payload["number"])

    async def count() -> int:
        return sum(map(len, handled.values()))

    async def at_least_40() -> bool:
        return await count() >= 40

    inbox = MemoryInbox()
    buses = [EventBus(world.broker, world.service, inbox=inbox, concurrency=8) for _ in range(2)]
    for bus in buses:
        await bus.start()
        await bus.subscribe([world.task], work, queue=world.service, ordered_by=key_of)
        await bus.stop()
    for number in range(60):
        await asyncio.gather(*(buses[0].publish(world.task, {"number": number}, subject=key) for key in ("a", "b", "c", "d")))
    for bus in buses:
        await bus.start()
    await becomes(at_least_40, True)
    await buses[0].stop()
    assert await count() < 240
    await becomes(count, 240)
    assert handled == {key: list(range(60)) for key in ("a", "b", "c", "d")}
    await buses[1].stop()


async def test_work_cut_short_by_a_stop_is_still_the_first_of_its_key(world: World) -> None:
    begun = asyncio.Event()
    handled: list[object] = []

    async def work(event: Event) -> None:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        handled.append(event.payload["number"])

    bus = EventBus(world.broker, world.service)
    await bus.start()
    await bus.subscribe([world.task], work, queue=world.service, ordered_by=key_of)
    for number in range(20):
        await bus.publish(world.task, {"number": number}, subject="key")
    await asyncio.wait_for(begun.wait(), 10)
    await bus.stop(drain_s=0.05)
    assert handled == []
    await bus.start()

    async def count() -> int:
        return len(handled)

    await becomes(count, 20)
    assert handled == list(range(20))
    await bus.stop()


async def test_an_event_that_fails_for_good_lets_the_next_of_its_key_go_on(world: World) -> None:
    handled: list[object] = []
    done = asyncio.Event()

    async def work(event: Event) -> None:
        handled.append(event.payload["number"])
        if event.payload["number"] == 0:
            raise KeyError("no")
        done.set()

    bus = EventBus(world.broker, world.service)
    await bus.start()
    policy = Policy(max_attempts=3, retry_delays_s=(0.02,), retry_on=(KeyError,))
    await bus.subscribe([world.task], work, queue=world.service, ordered_by=key_of, policy=policy)
    for number in range(2):
        await bus.publish(world.task, {"number": number}, subject="key")
    await asyncio.wait_for(done.wait(), 10)
    assert handled == [0, 0, 0, 1]
    dead = Inbox()
    await world.broker.consume(dead_letter_queue(service_queue(world.service)), dead, prefetch=1)
    delivery = await dead.take()
    delivery.ack()
    assert str(delivery.message.headers[HEADER_DEAD_REASON]).startswith("failed after 3 attempts: KeyError")
    await bus.stop()


async def test_history_goes_by_type_and_time_and_keeps_the_latest(world: World) -> None:
    history = EventHistory(world.broker, [f"{world.service}.#"], stream=f"{world.service}.history")
    await history.start()
    bus = EventBus(world.broker, world.service)
    first = await bus.publish(f"{world.service}.a.made", {"number": 0})
    for number in range(1, 6):
        await bus.publish(f"{world.service}.b.made", {"number": number})
    assert [event.payload["number"] for event in await history.get_event_history()] == list(range(6))
    assert await history.get_event_history([f"{world.service}.a.*"]) == [first]
    assert [event.payload["number"] for event in await history.get_event_history(limit=2)] == [4, 5]
    assert await history.get_event_history(until=first.time) == []
    assert await history.get_event_history(until=first.time + timedelta(microseconds=1)) == [first]
    assert await history.get_event_history(since=datetime.now(UTC) + timedelta(hours=1)) == []
