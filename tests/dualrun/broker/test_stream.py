"""Streams, priorities and an orderly leave, on every adapter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dualrun.broker import Binding, Broker, Delivery, Exchange, Message, Outgoing, Queue, Stream, Topology
from dualrun.errors import ConfigurationError
from tests.support.inbox import Inbox


async def bodies(broker: Broker, stream: str, since: datetime | None = None) -> list[bytes]:
    return [message.body async for message in broker.read(stream, since=since)]


async def test_a_stream_can_be_read_again_and_ends_where_it_ends_now(broker: Broker, name: str) -> None:
    exchange = Exchange(name)
    await broker.declare(Topology(exchanges=(exchange,), streams=(Stream(name=name),), bindings=(Binding(name, name, "a.#"),)))
    assert await bodies(broker, name) == []
    sent = [Outgoing(name, "a.b", Message(body=b"%d" % number, headers={"n": number})) for number in range(1200)]
    assert await broker.publish_many(sent) == [None] * 1200
    expected = [b"%d" % number for number in range(1200)]
    assert await bodies(broker, name) == expected
    assert await bodies(broker, name) == expected
    await broker.publish(name, "a", Message(body=b"last"))
    assert (await bodies(broker, name))[-1] == b"last"


async def test_a_stream_read_from_a_time_gives_all_that_came_after_it(broker: Broker, name: str) -> None:
    await broker.declare(Topology(streams=(Stream(name=name),)))
    await broker.publish("", name, Message(body=b"1"))
    assert await bodies(broker, name, datetime.now(UTC) - timedelta(hours=1)) == [b"1"]


async def test_a_stream_that_is_not_there_is_refused_by_name(broker: Broker, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        await bodies(broker, name)


async def test_a_queue_with_priorities_gives_the_highest_first(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name, max_priority=9, delivery_limit=3),)))
    for number, priority in enumerate((None, 0, 5, 9, 5, 200)):
        await broker.publish("", name, Message(body=b"%d" % number, priority=priority))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    taken = []
    for _ in range(6):
        delivery = await inbox.take()
        taken.append(delivery.message.body)
        delivery.ack()
    assert taken == [b"3", b"5", b"2", b"4", b"0", b"1"]


async def test_what_a_leaving_consumer_has_in_hand_comes_again_first_and_in_order(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name, single_active_consumer=True, delivery_limit=5),)))
    for number in range(20):
        await broker.publish("", name, Message(body=b"%d" % number))
    first, second = Inbox(), Inbox()
    leaving = await broker.consume(name, first, prefetch=8)
    await broker.consume(name, second, prefetch=8)
    in_hand: list[Delivery] = await first.take_many(8)
    in_hand[0].ack()
    await leaving.leave()
    in_hand[1].ack()  # too late: it comes again
    taken = []
    for _ in range(19):
        delivery = await second.take()
        taken.append(delivery.message.body)
        delivery.ack()
    assert taken == [b"%d" % number for number in range(1, 20)]
