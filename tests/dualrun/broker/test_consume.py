"""What a consumer can rely on, on every adapter."""

from __future__ import annotations

import asyncio

import pytest

from dualrun.broker import Broker, Delivery, Message, Queue, QueueDepth, Topology
from dualrun.errors import ConfigurationError
from tests.support.eventually import becomes
from tests.support.inbox import Inbox


async def _queue_with(broker: Broker, queue: Queue, messages: int) -> None:
    await broker.declare(Topology(queues=(queue,)))
    for number in range(messages):
        await broker.publish("", queue.name, Message(body=b"%d" % number))


async def _depth_becomes(broker: Broker, queue: str, expected: QueueDepth) -> None:
    await becomes(lambda: broker.depth(queue), expected)


async def _ready_becomes(broker: Broker, queue: str, expected: int) -> None:
    async def ready() -> int | None:
        depth = await broker.depth(queue)
        return None if depth is None else depth.ready

    await becomes(ready, expected)


async def test_an_acked_message_never_comes_back(broker: Broker, name: str) -> None:
    await _queue_with(broker, Queue(name=name), 5)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=10)
    for delivery in await inbox.take_many(5):
        delivery.ack()
    await broker.close()
    await broker.connect()
    await _depth_becomes(broker, name, QueueDepth(ready=0, consumers=0))


async def test_acks_out_of_order_remove_exactly_what_was_acked(broker: Broker, name: str) -> None:
    await _queue_with(broker, Queue(name=name), 6)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=10)
    deliveries = await inbox.take_many(6)
    for index in (4, 1, 0):
        deliveries[index].ack()
    await broker.close()
    await broker.connect()
    again = Inbox()
    await broker.consume(name, again, prefetch=10)
    assert sorted(delivery.message.body for delivery in await again.take_many(3)) == [b"2", b"3", b"5"]


async def test_what_was_in_hand_when_the_broker_closed_comes_back(broker: Broker, name: str) -> None:
    await _queue_with(broker, Queue(name=name), 1)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    first = await inbox.take()
    assert (first.redelivered, first.delivery_count) == (False, 0)
    await broker.close()
    first.ack()
    await broker.connect()
    await broker.consume(name, inbox, prefetch=1)
    second = await inbox.take()
    assert (second.message.body, second.redelivered, second.delivery_count) == (b"0", True, 1)


async def test_a_requeued_message_comes_back_and_counts(broker: Broker, name: str) -> None:
    await _queue_with(broker, Queue(name=name), 1)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    for count in range(4):
        delivery = await inbox.take()
        assert (delivery.delivery_count, delivery.redelivered) == (count, count > 0)
        assert "x-delivery-count" not in delivery.message.headers
        delivery.requeue()


async def test_settling_twice_changes_nothing(broker: Broker, name: str) -> None:
    await _queue_with(broker, Queue(name=name), 2)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    first = await inbox.take()
    first.ack()
    first.ack()
    first.requeue()
    first.dead_letter()
    second = await inbox.take()
    assert second.message.body == b"1"
    second.ack()
    await _depth_becomes(broker, name, QueueDepth(ready=0, consumers=1))


async def test_no_more_than_the_prefetch_is_in_hand(broker: Broker, name: str) -> None:
    await _queue_with(broker, Queue(name=name), 10)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=3)
    in_hand = await inbox.take_many(3)
    await _depth_becomes(broker, name, QueueDepth(ready=7, consumers=1))
    assert inbox.waiting == 0
    in_hand[0].ack()
    assert (await inbox.take()).message.body == b"3"
    await _depth_becomes(broker, name, QueueDepth(ready=6, consumers=1))


@pytest.mark.parametrize("prefetch", [0, -1, 65_536])
async def test_a_prefetch_that_is_no_bound_is_refused(broker: Broker, name: str, prefetch: int) -> None:
    await _queue_with(broker, Queue(name=name), 0)
    with pytest.raises(ConfigurationError, match="prefetch"):
        await broker.consume(name, Inbox(), prefetch=prefetch)


async def test_competing_consumers_share_and_nothing_is_delivered_twice(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    first, second = Inbox(), Inbox()
    await broker.consume(name, first, prefetch=10)
    await broker.consume(name, second, prefetch=10)
    for number in range(10):
        await broker.publish("", name, Message(body=b"%d" % number))
    shares = [await inbox.take_many(5) for inbox in (first, second)]
    assert sorted(int(delivery.message.body) for share in shares for delivery in share) == list(range(10))


async def test_a_single_active_consumer_gets_everything_until_it_leaves(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name, single_active_consumer=True),)))
    first, second = Inbox(), Inbox()
    active = await broker.consume(name, first, prefetch=10)
    await broker.consume(name, second, prefetch=10)
    for number in range(4):
        await broker.publish("", name, Message(body=b"%d" % number))
    for delivery in await first.take_many(4):
        delivery.ack()
    await active.cancel()
    await broker.publish("", name, Message(body=b"next"))
    assert (await second.take()).message.body == b"next"
    assert first.waiting == 0


async def test_a_cancelled_consumer_gets_nothing_more_and_can_settle_what_it_has(broker: Broker, name: str) -> None:
    await _queue_with(broker, Queue(name=name), 2)
    inbox = Inbox()
    consumer = await broker.consume(name, inbox, prefetch=2)
    kept, returned = await inbox.take_many(2)
    await consumer.cancel()
    await broker.publish("", name, Message(body=b"2"))
    # RabbitMQ counts a cancelled consumer until its hands are empty.
    await _ready_becomes(broker, name, 1)
    kept.ack()
    returned.requeue()
    await _depth_becomes(broker, name, QueueDepth(ready=2, consumers=0))
    assert inbox.waiting == 0
    await consumer.cancel()


async def test_a_queue_that_is_not_there_cannot_be_consumed(broker: Broker, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        await broker.consume(name, Inbox(), prefetch=1)


async def test_a_callback_that_raises_gets_the_message_again_and_others_go_on(
    broker: Broker, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await _queue_with(broker, Queue(name=name), 2)
    inbox = Inbox()

    def fail_once(delivery: Delivery) -> None:
        if delivery.delivery_count == 0 and delivery.message.body == b"0":
            raise LookupError("broken")
        inbox(delivery)

    await broker.consume(name, fail_once, prefetch=10)
    arrived = await inbox.take_many(2)
    assert {(delivery.message.body, delivery.delivery_count) for delivery in arrived} == {(b"0", 1), (b"1", 0)}
    assert "on_delivery_failed" in caplog.text


async def test_depth_tells_messages_and_consumers_and_none_for_no_queue(broker: Broker, name: str) -> None:
    assert await broker.depth(name) is None
    await _queue_with(broker, Queue(name=name), 3)
    await _depth_becomes(broker, name, QueueDepth(ready=3, consumers=0))
    await broker.consume(name, Inbox(), prefetch=1)
    await _depth_becomes(broker, name, QueueDepth(ready=2, consumers=1))


async def test_many_messages_settled_in_any_way_are_each_settled_once(broker: Broker, name: str) -> None:
    dead = Queue(name=f"{name}.dead")
    work = Queue(name=name, dead_letter_exchange="", dead_letter_routing_key=dead.name)
    await broker.declare(Topology(queues=(dead, work)))
    await asyncio.gather(*(broker.publish("", name, Message(body=b"%d" % number)) for number in range(400)))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=50)
    finished: set[int] = set()
    while len(finished) < 400:
        delivery = await inbox.take()
        number = int(delivery.message.body)
        if number % 5 == 1 and delivery.delivery_count == 0:
            delivery.requeue()
        elif number % 7 == 2:
            delivery.dead_letter()
            finished.add(number)
        else:
            delivery.ack()
            finished.add(number)
    await _depth_becomes(broker, name, QueueDepth(ready=0, consumers=1))
    await _depth_becomes(broker, dead.name, QueueDepth(ready=len(range(2, 400, 7)), consumers=0))
