"""Workers that are told to stop again and again: no event is the worse for it, on each broker."""

from __future__ import annotations

import asyncio

from dualrun.broker import Message
from dualrun.broker.redirect_topology import REDIRECT_TOPOLOGY
from dualrun.contracts import Side, State
from dualrun.contracts.topology import HEADER_RECALLED_BY, HEADER_STARTED, REDIRECT_QUEUE, dead_letter_queue, service_queue
from dualrun.in_force import FlagsInForce
from dualrun.inbox_memory import MemoryInbox
from event_handlers import handler
from event_handlers.recalling import Recalling
from event_handlers.service_topology import DELIVERY_LIMIT
from tests.event_handlers.conftest import World, any_handler
from tests.support.eventually import becomes
from tests.support.inbox import Inbox


async def test_no_number_of_orderly_stops_makes_a_dead_letter_of_what_they_cut_short_or_did_not_begin(world: World) -> None:
    begun = asyncio.Event()

    @handler(world.task)
    async def slow() -> None:
        begun.set()
        await asyncio.Event().wait()

    inbox, queue = MemoryInbox(), service_queue(world.service)
    worker = await world.start(slow, inbox=inbox, concurrency=1)
    submitted = [await world.submit({}) for _ in range(3)]
    for _ in range(3 * (DELIVERY_LIMIT + 1)):
        await asyncio.wait_for(begun.wait(), 10)
        await worker.stop(0.0)
        begun.clear()
        worker = await world.start(slow, inbox=inbox, concurrency=1)
    await worker.stop(0.0)
    assert await world.ready(dead_letter_queue(queue)) == 0
    await world.start(any_handler(world.task), inbox=inbox)
    assert [outcome.state for outcome in await world.outcomes(submitted)] == [State.SUCCEEDED] * 3


async def test_what_a_stop_cut_short_bears_that_it_has_begun_and_what_it_did_not_begin_is_as_new(world: World) -> None:
    begun: list[int] = []

    @handler(world.task)
    async def slow(number: int) -> None:
        begun.append(number)
        await asyncio.Event().wait()

    worker = await world.start(slow, concurrency=1)
    for number in range(3):
        await world.submit({"number": number})
    await becomes(lambda: _in_hand(worker.report().waiting["authority"]), 2)
    await worker.stop(0.0)
    found = Inbox()
    consumer = await world.broker.consume(service_queue(world.service), found, prefetch=10)
    deliveries = await found.take_many(3)
    marks = {delivery.message.body: HEADER_STARTED in delivery.message.headers for delivery in deliveries}
    assert marks == {f'{{"number":{number}}}'.encode(): number in begun for number in range(3)}
    assert [(delivery.redelivered, delivery.delivery_count) for delivery in deliveries] == [(False, 0)] * 3
    for delivery in deliveries:
        delivery.ack()
    await consumer.cancel()


async def test_what_is_given_back_to_a_gateway_begins_anew(world: World) -> None:
    await world.broker.declare(REDIRECT_TOPOLOGY)
    await Recalling(world.broker, FlagsInForce(Side.EVENTS)).give_back(Message(body=b"{}", headers={HEADER_STARTED: "1", "own": "kept"}), 7)
    found = Inbox()
    consumer = await world.broker.consume(REDIRECT_QUEUE, found, prefetch=1)
    delivery = await found.take()
    delivery.ack()
    await consumer.cancel()
    assert delivery.message.headers == {"own": "kept", HEADER_RECALLED_BY: "7"}


async def _in_hand(count: int) -> int:
    return count
