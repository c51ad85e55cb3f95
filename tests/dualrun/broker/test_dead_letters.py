"""How messages leave a queue without an ack, on every adapter."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from dualrun.broker import Binding, Broker, Delivery, Exchange, ExchangeKind, HeaderValue, Message, Overflow, Queue, QueueDepth, Topology
from tests.support.eventually import becomes
from tests.support.inbox import Inbox


def _deaths(delivery: Delivery) -> list[Mapping[str, HeaderValue]]:
    deaths = delivery.message.headers["x-death"]
    assert isinstance(deaths, list)
    return deaths


async def _dead_letter_topology(broker: Broker, work: Queue) -> None:
    exchange = Exchange(f"{work.name}.dlx", ExchangeKind.DIRECT)
    dead = Queue(name=f"{work.name}.dead")
    binding = Binding(exchange.name, dead.name, work.name)
    await broker.declare(Topology(exchanges=(exchange,), queues=(dead, work), bindings=(binding,)))


async def _first_dead(broker: Broker, work: str) -> Delivery:
    inbox = Inbox()
    await broker.consume(f"{work}.dead", inbox, prefetch=1)
    return await inbox.take()


async def test_a_dead_lettered_message_keeps_its_headers_and_says_why(broker: Broker, name: str) -> None:
    work = Queue(name=name, dead_letter_exchange=f"{name}.dlx", dead_letter_routing_key=name)
    await _dead_letter_topology(broker, work)
    await broker.publish("", name, Message(body=b"poison", headers={"mine": {"a": [1]}}, message_id="m-1"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    (await inbox.take()).dead_letter()
    dead = await _first_dead(broker, name)
    assert (dead.message.body, dead.message.message_id, dead.message.headers["mine"]) == (b"poison", "m-1", {"a": [1]})
    assert (dead.exchange, dead.routing_key, dead.delivery_count) == (f"{name}.dlx", name, 0)
    (death,) = _deaths(dead)
    assert {**death, "time": ""} == {"count": 1, "reason": "rejected", "queue": name, "time": "", "exchange": "", "routing-keys": [name]}
    assert str(death["time"]).endswith("+00:00")
    headers = dead.message.headers
    assert [headers[f"x-first-death-{what}"] for what in ("reason", "queue", "exchange")] == ["rejected", name, ""]


async def test_a_dead_letter_keeps_its_own_key_when_the_queue_names_none(broker: Broker, name: str) -> None:
    work = Queue(name=name, dead_letter_exchange=f"{name}.dlx")
    await _dead_letter_topology(broker, work)
    await broker.publish("", name, Message(body=b"1"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    (await inbox.take()).dead_letter()
    assert (await _first_dead(broker, name)).routing_key == name


async def test_without_a_dead_letter_exchange_a_refused_message_vanishes(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    await broker.publish("", name, Message(body=b"1"))
    await broker.publish("", name, Message(body=b"2"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    (await inbox.take()).dead_letter()
    assert (await inbox.take()).message.body == b"2"


async def test_after_its_delivery_limit_a_message_is_dead_lettered(broker: Broker, name: str) -> None:
    work = Queue(name=name, dead_letter_exchange=f"{name}.dlx", dead_letter_routing_key=name, delivery_limit=2)
    await _dead_letter_topology(broker, work)
    await broker.publish("", name, Message(body=b"1"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    counts = []
    for _ in range(3):
        delivery = await inbox.take()
        counts.append(delivery.delivery_count)
        delivery.requeue()
    assert counts == [0, 1, 2]
    (death,) = _deaths(await _first_dead(broker, name))
    assert (death["reason"], death["queue"], death["count"]) == ("delivery_limit", name, 1)
    assert inbox.waiting == 0


async def test_a_retry_queue_brings_a_message_back_after_its_time(broker: Broker, name: str) -> None:
    retry = Queue(name=f"{name}.retry.300", message_ttl_ms=300, dead_letter_exchange="", dead_letter_routing_key=name)
    await broker.declare(Topology(queues=(Queue(name=name), retry)))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    started_s = time.monotonic()
    await broker.publish("", retry.name, Message(body=b"again"))
    delivery = await inbox.take()
    assert 0.29 <= time.monotonic() - started_s < 3
    (death,) = _deaths(delivery)
    assert (delivery.message.body, death["reason"], death["queue"]) == (b"again", "expired", retry.name)


async def test_a_message_in_hand_does_not_expire(broker: Broker, name: str) -> None:
    work = Queue(name=name, message_ttl_ms=200, dead_letter_exchange=f"{name}.dlx", dead_letter_routing_key=name)
    await _dead_letter_topology(broker, work)
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    await broker.publish("", name, Message(body=b"held"))
    held = await inbox.take()
    await broker.publish("", name, Message(body=b"expires"))
    assert (await _first_dead(broker, name)).message.body == b"expires"
    held.ack()


async def test_a_messages_own_expiration_counts_and_is_not_inherited(broker: Broker, name: str) -> None:
    work = Queue(name=name, dead_letter_exchange=f"{name}.dlx", dead_letter_routing_key=name)
    await _dead_letter_topology(broker, work)
    await broker.publish("", name, Message(body=b"short", expiration_ms=100))
    await broker.publish("", name, Message(body=b"long"))
    dead = await _first_dead(broker, name)
    assert (dead.message.body, dead.message.expiration_ms) == (b"short", None)
    (death,) = _deaths(dead)
    assert (death["reason"], death["original-expiration"]) == ("expired", "100")
    assert await broker.depth(name) == QueueDepth(ready=1, consumers=0)


async def test_deaths_alike_are_counted_newest_first(broker: Broker, name: str) -> None:
    retry = Queue(name=f"{name}.retry", message_ttl_ms=50, dead_letter_exchange="", dead_letter_routing_key=name)
    work = Queue(name=name, dead_letter_exchange="", dead_letter_routing_key=retry.name)
    await broker.declare(Topology(queues=(work, retry)))
    await broker.publish("", name, Message(body=b"1"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    for _ in range(3):
        (await inbox.take()).dead_letter()
    deaths = _deaths(await inbox.take())
    assert [(death["queue"], death["reason"], death["count"]) for death in deaths] == [
        (retry.name, "expired", 3),
        (name, "rejected", 3),
    ]


async def test_a_message_that_only_expires_in_circles_is_dropped(broker: Broker, name: str) -> None:
    there = Queue(name=name, message_ttl_ms=50, dead_letter_exchange="", dead_letter_routing_key=f"{name}.back")
    back = Queue(name=f"{name}.back", message_ttl_ms=50, dead_letter_exchange="", dead_letter_routing_key=name)
    await broker.declare(Topology(queues=(there, back)))
    await broker.publish("", name, Message(body=b"1"))

    async def in_circulation() -> int:
        depths = [await broker.depth(queue.name) for queue in (there, back)]
        return sum(depth.ready for depth in depths if depth is not None)

    await becomes(in_circulation, 0)


async def test_what_a_full_queue_drops_is_dead_lettered(broker: Broker, name: str) -> None:
    work = Queue(name=name, max_length=2, overflow=Overflow.DROP_HEAD, dead_letter_exchange=f"{name}.dlx", dead_letter_routing_key=name)
    await _dead_letter_topology(broker, work)
    for number in range(3):
        await broker.publish("", name, Message(body=b"%d" % number))
    dead = await _first_dead(broker, name)
    assert (dead.message.body, _deaths(dead)[0]["reason"]) == (b"0", "maxlen")


@pytest.mark.parametrize("reason", ["rejected", "expired"])
async def test_a_dead_letter_nobody_takes_harms_no_other_message(broker: Broker, name: str, reason: str) -> None:
    ttl_ms = 50 if reason == "expired" else None
    await broker.declare(Topology(queues=(Queue(name=name, message_ttl_ms=ttl_ms, dead_letter_exchange=f"{name}.missing"),)))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    await broker.publish("", name, Message(body=b"1"))
    (await inbox.take()).dead_letter()
    await broker.publish("", name, Message(body=b"2"))
    assert (await inbox.take()).message.body == b"2"
