"""Which queues a message reaches, on every adapter."""

from __future__ import annotations

import pytest

from dualrun.broker import Binding, Broker, Exchange, ExchangeKind, HeaderValue, Message, Queue, Topology
from dualrun.errors import ConfigurationError, Unroutable
from tests.support.inbox import Inbox

TOPIC_CASES = [
    ("auth.send", "auth.send", True),
    ("auth.send", "auth.sent", False),
    ("auth.*", "auth.send", True),
    ("auth.*", "auth", False),
    ("auth.*", "auth.send.mail", False),
    ("*.send", "auth.send", True),
    ("auth.#", "auth", True),
    ("auth.#", "auth.send.mail", True),
    ("#", "anything.at.all", True),
    ("#", "", True),
    ("*", "", False),
    ("#.mail", "mail", True),
    ("#.mail", "auth.send.mail", True),
    ("#.mail.#", "auth.mail.send.now", True),
    ("*.#.mail", "mail", False),
    ("a.*.c", "a..c", True),
    ("#.#", "a", True),
    ("auth.s*", "auth.send", False),
]


@pytest.mark.parametrize(("pattern", "key", "takes"), TOPIC_CASES)
async def test_topic_star_is_one_word_and_hash_any_number(broker: Broker, name: str, pattern: str, key: str, takes: bool) -> None:
    await broker.declare(Topology(exchanges=(Exchange(name),), queues=(Queue(name=name),), bindings=(Binding(name, name, pattern),)))
    assert await _routes(broker, name, key) is takes


async def _routes(broker: Broker, exchange: str, key: str, headers: dict[str, HeaderValue] | None = None) -> bool:
    try:
        await broker.publish(exchange, key, Message(body=b"", headers=headers or {}))
    except Unroutable:
        return False
    return True


async def test_a_queue_bound_twice_gets_a_message_once(broker: Broker, name: str) -> None:
    bindings = (Binding(name, name, "auth.*"), Binding(name, name, "#"), Binding(name, name, "#"))
    await broker.declare(Topology(exchanges=(Exchange(name),), queues=(Queue(name=name),), bindings=bindings))
    await broker.publish(name, "auth.send", Message(body=b"1"))
    await broker.publish(name, "auth.send", Message(body=b"2"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=10)
    assert [delivery.message.body for delivery in await inbox.take_many(2)] == [b"1", b"2"]


async def test_fanout_reaches_every_queue_whatever_the_key(broker: Broker, name: str) -> None:
    queues = tuple(Queue(name=f"{name}.{number}") for number in range(3))
    bindings = tuple(Binding(name, queue.name, "ignored") for queue in queues)
    await broker.declare(Topology(exchanges=(Exchange(name, ExchangeKind.FANOUT),), queues=queues, bindings=bindings))
    await broker.publish(name, "other", Message(body=b"1"))
    for queue in queues:
        inbox = Inbox()
        await broker.consume(queue.name, inbox, prefetch=1)
        delivery = await inbox.take()
        assert (delivery.exchange, delivery.routing_key, delivery.queue) == (name, "other", queue.name)


async def test_direct_wants_the_very_key(broker: Broker, name: str) -> None:
    exchange = Exchange(name, ExchangeKind.DIRECT)
    await broker.declare(Topology(exchanges=(exchange,), queues=(Queue(name=name),), bindings=(Binding(name, name, "a.*"),)))
    assert await _routes(broker, name, "a.*")
    assert not await _routes(broker, name, "a.b")


@pytest.mark.parametrize(
    ("arguments", "headers", "takes"),
    [
        ({"side": "events", "n": 1}, {"side": "events", "n": 1, "more": True}, True),
        ({"side": "events", "n": 1}, {"side": "events", "n": 2}, False),
        ({"x-match": "any", "side": "events", "n": 1}, {"n": 1}, True),
        ({"x-match": "any", "side": "events", "n": 1}, {"n": 2}, False),
        ({"x-match": "all", "present": None}, {"present": "whatever"}, True),
        ({"x-match": "all", "present": None}, {}, False),
        ({"x-match": "all", "x-ignored": "1"}, {}, True),
        ({"x-match": "all-with-x", "x-counts": "1"}, {}, False),
    ],
)
async def test_headers_exchange_compares_headers(
    broker: Broker, name: str, arguments: dict[str, HeaderValue], headers: dict[str, HeaderValue], takes: bool
) -> None:
    exchange = Exchange(name, ExchangeKind.HEADERS)
    await broker.declare(Topology(exchanges=(exchange,), queues=(Queue(name=name),), bindings=(Binding(name, name, "", arguments),)))
    assert await _routes(broker, name, "any", headers) is takes


async def test_a_binding_added_later_counts_at_once(broker: Broker, name: str) -> None:
    await broker.declare(Topology(exchanges=(Exchange(name),), queues=(Queue(name=name),)))
    assert not await _routes(broker, name, "late")
    await broker.declare(Topology(bindings=(Binding(name, name, "late"),)))
    assert await _routes(broker, name, "late")


async def test_declaring_twice_changes_nothing(broker: Broker, name: str) -> None:
    topology = Topology(
        exchanges=(Exchange(name),),
        queues=(Queue(name=name, max_length=10, message_ttl_ms=60_000, dead_letter_exchange="", delivery_limit=3),),
        bindings=(Binding(name, name, "#"),),
    )
    await broker.declare(topology)
    await broker.publish(name, "key", Message(body=b"1"))
    await broker.declare(topology)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    assert (await inbox.take()).message.body == b"1"


async def test_a_queue_declared_with_other_properties_is_refused_by_name(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name, max_length=10),)))
    with pytest.raises(ConfigurationError, match=name):
        await broker.declare(Topology(queues=(Queue(name=name, max_length=11),)))
    await broker.declare(Topology(queues=(Queue(name=f"{name}.next"),)))
    await broker.publish("", f"{name}.next", Message(body=b"still works"))


async def test_an_exchange_declared_with_another_kind_is_refused_by_name(broker: Broker, name: str) -> None:
    await broker.declare(Topology(exchanges=(Exchange(name),)))
    with pytest.raises(ConfigurationError, match=name):
        await broker.declare(Topology(exchanges=(Exchange(name, ExchangeKind.FANOUT),)))


async def test_a_binding_to_nothing_is_refused_by_name(broker: Broker, name: str) -> None:
    await broker.declare(Topology(exchanges=(Exchange(name),)))
    with pytest.raises(ConfigurationError, match=f"{name}.missing"):
        await broker.declare(Topology(bindings=(Binding(name, f"{name}.missing", "#"),)))
