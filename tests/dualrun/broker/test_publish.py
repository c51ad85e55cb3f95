"""What a publish promises, on every adapter."""

from __future__ import annotations

import asyncio

import pytest

from dualrun.broker import Binding, Broker, Exchange, ExchangeKind, HeaderValue, Message, Outgoing, Overflow, Queue, Topology
from dualrun.errors import BrokerError, BrokerUnavailable, PublishRefused, Unroutable
from tests.support.eventually import becomes
from tests.support.inbox import Inbox


async def test_a_publish_returns_once_the_message_is_queued(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    for _ in range(3):
        await broker.publish("", name, Message(body=b"1"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=10)
    for delivery in await inbox.take_many(3):
        delivery.ack()


async def test_a_message_no_queue_takes_is_unroutable(broker: Broker, name: str) -> None:
    await broker.declare(Topology(exchanges=(Exchange(name),)))
    with pytest.raises(Unroutable) as raised:
        await broker.publish(name, "nobody.listens", Message(body=b"1"))
    assert (raised.value.exchange, raised.value.routing_key) == (name, "nobody.listens")


async def test_a_message_for_a_missing_queue_is_unroutable(broker: Broker, name: str) -> None:
    with pytest.raises(Unroutable):
        await broker.publish("", name, Message(body=b"1"))


async def test_a_message_for_a_missing_exchange_is_unroutable_and_harms_no_other(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    errors = await broker.publish_many(
        [
            Outgoing("", name, Message(body=b"1")),
            Outgoing(f"{name}.missing", "key", Message(body=b"2")),
            Outgoing("", name, Message(body=b"3")),
        ]
    )
    assert [type(error) for error in errors] == [type(None), Unroutable, type(None)]


async def test_a_full_queue_refuses_and_accepts_again_once_emptied(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name, max_length=3),)))
    accepted = await _fill(broker, name)
    # RabbitMQ's limit is soft: a few messages beyond it may be taken.
    assert 3 <= accepted <= 10
    inbox = Inbox()
    consumer = await broker.consume(name, inbox, prefetch=100)
    for delivery in await inbox.take_many(accepted):
        delivery.ack()
    await consumer.cancel()
    await becomes(lambda: _is_accepted(broker, name), expected=True)


async def _fill(broker: Broker, queue: str) -> int:
    """How many messages went in before one was refused."""
    for accepted in range(50):
        if not await _is_accepted(broker, queue):
            return accepted
    raise AssertionError("never full")


async def _is_accepted(broker: Broker, queue: str) -> bool:
    try:
        await broker.publish("", queue, Message(body=b"1"))
    except PublishRefused:
        return False
    return True


async def test_a_queue_that_drops_its_head_keeps_the_newest_messages(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name, max_length=3, overflow=Overflow.DROP_HEAD),)))
    for number in range(6):
        await broker.publish("", name, Message(body=b"%d" % number))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=10)
    assert [delivery.message.body for delivery in await inbox.take_many(3)] == [b"3", b"4", b"5"]


async def test_publish_many_reports_each_message_in_order(broker: Broker, name: str) -> None:
    await broker.declare(Topology(exchanges=(Exchange(name),), queues=(Queue(name=name),), bindings=(Binding(name, name, "known.*"),)))
    keys = ["known.1", "unknown.1", "known.2", "known.3", "unknown.2"]
    errors = await broker.publish_many([Outgoing(name, key, Message(body=key.encode())) for key in keys])
    assert [error.routing_key if isinstance(error, Unroutable) else error for error in errors] == [
        None,
        "unknown.1",
        None,
        None,
        "unknown.2",
    ]
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=10)
    assert [delivery.routing_key for delivery in await inbox.take_many(3)] == ["known.1", "known.2", "known.3"]


async def test_publish_many_of_nothing_gives_nothing(broker: Broker) -> None:
    assert await broker.publish_many([]) == []


async def test_equal_messages_keep_apart_who_is_unroutable(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    message = Message(body=b"same", message_id="same")
    errors = await broker.publish_many([Outgoing("", key, message) for key in (name, f"{name}.no", name, f"{name}.no")])
    assert [isinstance(error, Unroutable) for error in errors] == [False, True, False, True]


async def test_messages_of_concurrent_publishers_all_arrive(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    bodies = [b"%d" % number for number in range(500)]
    await asyncio.gather(*(broker.publish("", name, Message(body=body)) for body in bodies))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1000)
    assert [delivery.message.body for delivery in await inbox.take_many(500)] == bodies


@pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 500_000])
async def test_a_body_of_any_size_arrives_whole(broker: Broker, name: str, size: int) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    body = bytes(number % 251 for number in range(size))
    await broker.publish("", name, Message(body=body))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    assert (await inbox.take()).message.body == body


async def test_headers_and_properties_come_back_as_they_went(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    headers: dict[str, HeaderValue] = {
        "none": None,
        "text": "Пример",
        "true": True,
        "small": 7,
        "negative": -3,
        "wide": 2**40,
        "exact": 0.1,
        "octets": b"\x00\xff",
        "list": [1, None, "a", [2]],
        "nested": {"deep": {"er": [{"x": None}]}},
        "empty": {},
    }
    message = Message(
        body=b"{}",
        headers=headers,
        content_type="application/cloudevents+json",
        message_id="m-1",
        correlation_id="c-1",
        reply_to="r-1",
        priority=4,
        expiration_ms=60_000,
    )
    await broker.publish("", name, message)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    delivery = await inbox.take()
    assert delivery.message == message
    assert (delivery.exchange, delivery.routing_key, delivery.queue) == ("", name, name)


async def test_what_a_publisher_does_to_its_headers_later_changes_nothing(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    inner: list[HeaderValue] = [1]
    await broker.publish("", name, Message(body=b"", headers={"inner": inner}))
    inner.append(2)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    assert (await inbox.take()).message.headers == {"inner": [1]}


@pytest.mark.parametrize(
    ("routing_key", "headers", "error"),
    [
        ("k" * 256, {}, ValueError),
        ("key", {"h" * 256: 1}, ValueError),
        ("key", {"wide": 2**64}, ValueError),
        ("key", {"odd": object()}, TypeError),
        ("key", {"large": "x" * 131_072}, ValueError),
    ],
)
async def test_a_message_amqp_cannot_carry_is_the_callers_mistake(
    broker: Broker, routing_key: str, headers: dict[str, HeaderValue], error: type[Exception]
) -> None:
    message = Message(body=b"", headers=headers)
    with pytest.raises(error):
        await broker.publish("", routing_key, message)
    with pytest.raises(error):
        await broker.publish_many([Outgoing("", routing_key, message)])


@pytest.mark.parametrize("expiration_ms", [-1, 2**32])
async def test_an_expiration_rabbitmq_would_choke_on_is_the_callers_mistake(broker: Broker, name: str, expiration_ms: int) -> None:
    with pytest.raises(ValueError, match="expiration"):
        await broker.publish("", name, Message(body=b"", expiration_ms=expiration_ms))


async def test_a_closed_broker_is_unavailable_and_has_published_nothing(broker: Broker, name: str) -> None:
    await broker.close()
    with pytest.raises(BrokerUnavailable) as raised:
        await broker.publish("", name, Message(body=b"1"))
    assert raised.value.maybe_published is False
    errors: list[BrokerError | None] = await broker.publish_many([Outgoing("", name, Message(body=b"1"))])
    assert [type(error) for error in errors] == [BrokerUnavailable]


async def test_an_exchange_can_be_published_to_by_a_broker_that_did_not_declare_it(broker: Broker, name: str) -> None:
    topology = Topology(exchanges=(Exchange(name, ExchangeKind.FANOUT),), queues=(Queue(name=name),), bindings=(Binding(name, name, ""),))
    await broker.declare(topology)
    await broker.close()
    await broker.connect()
    await broker.publish(name, "", Message(body=b"1"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    assert (await inbox.take()).message.body == b"1"
