"""What only the memory broker promises."""

from __future__ import annotations

import asyncio

import pytest

from dualrun.broker import Delivery, Message, Queue, Topology
from dualrun.broker.memory import MemoryBroker
from dualrun.errors import PublishRefused
from tests.support.inbox import Inbox


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    await broker.connect()
    return broker


async def test_a_full_queue_refuses_exactly_at_its_length(broker: MemoryBroker) -> None:
    await broker.declare(Topology(queues=(Queue(name="q", max_length=2),)))
    await broker.publish("", "q", Message(body=b"1"))
    await broker.publish("", "q", Message(body=b"2"))
    with pytest.raises(PublishRefused, match="q"):
        await broker.publish("", "q", Message(body=b"3"))


async def test_turns_go_round_in_order(broker: MemoryBroker) -> None:
    await broker.declare(Topology(queues=(Queue(name="q"),)))
    inboxes = [Inbox() for _ in range(3)]
    for inbox in inboxes:
        await broker.consume("q", inbox, prefetch=10)
    for number in range(6):
        await broker.publish("", "q", Message(body=b"%d" % number))
    shares = [[delivery.message.body for delivery in await inbox.take_many(2)] for inbox in inboxes]
    assert shares == [[b"0", b"3"], [b"1", b"4"], [b"2", b"5"]]


async def test_a_consumer_that_acks_at_once_leaves_the_loop_to_others(broker: MemoryBroker) -> None:
    await broker.declare(Topology(queues=(Queue(name="q"),)))
    for _ in range(1000):
        await broker.publish("", "q", Message(body=b""))
    seen = 0

    def on_delivery(delivery: Delivery) -> None:
        nonlocal seen
        seen += 1
        delivery.ack()

    await broker.consume("q", on_delivery, prefetch=1)
    turns = 0
    while seen < 1000:
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 5


async def test_a_dead_letter_is_taken_by_a_full_queue(broker: MemoryBroker) -> None:
    dead = Queue(name="dead", max_length=1)
    await broker.declare(Topology(queues=(dead, Queue(name="q", dead_letter_exchange="", dead_letter_routing_key="dead"))))
    await broker.publish("", "dead", Message(body=b"full"))
    await broker.publish("", "q", Message(body=b"poison"))
    inbox = Inbox()
    await broker.consume("q", inbox, prefetch=1)
    (await inbox.take()).dead_letter()
    depth = await broker.depth("dead")
    assert depth is not None
    assert depth.ready == 2
