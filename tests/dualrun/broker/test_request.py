"""Requests and their replies, on every adapter."""

from __future__ import annotations

import asyncio

import pytest

from dualrun.broker import Broker, Delivery, Message, Queue, Topology
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.errors import BrokerUnavailable, NoReply, Unroutable
from tests.support.inbox import Inbox
from tests.support.tcp_proxy import proxied_async


async def answering(broker: Broker, name: str) -> None:
    """A consumer that answers each request with its body, doubled."""
    await broker.declare(Topology(queues=(Queue(name=name),)))
    tasks: set[asyncio.Task[None]] = set()

    def on_delivery(delivery: Delivery) -> None:
        task = asyncio.create_task(reply(broker, delivery))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    await broker.consume(name, on_delivery, prefetch=100)


async def reply(broker: Broker, delivery: Delivery) -> None:
    request = delivery.message
    assert request.reply_to is not None
    await broker.publish("", request.reply_to, Message(body=request.body * 2, correlation_id=request.correlation_id))
    delivery.ack()


async def test_a_request_returns_the_reply_to_it(broker: Broker, name: str) -> None:
    await answering(broker, name)
    assert (await broker.request("", name, Message(body=b"a"), timeout_s=30)).body == b"aa"


async def test_each_of_many_requests_gets_its_own_reply(broker: Broker, name: str) -> None:
    await answering(broker, name)
    bodies = [str(number).encode() for number in range(50)]
    replies = await asyncio.gather(*(broker.request("", name, Message(body=body), timeout_s=30) for body in bodies))
    assert [answer.body for answer in replies] == [body * 2 for body in bodies]


async def test_a_request_nobody_answers_ends_with_its_time_and_a_late_reply_is_lost(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    with pytest.raises(NoReply, match=name):
        await broker.request("", name, Message(body=b"a"), timeout_s=0.2)
    await reply(broker, await inbox.take())
    await answering(broker, f"{name}.2")
    assert (await broker.request("", f"{name}.2", Message(body=b"b"), timeout_s=30)).body == b"bb"


async def test_a_request_no_queue_takes_is_unroutable_at_once(broker: Broker, name: str) -> None:
    with pytest.raises(Unroutable):
        await broker.request("", name, Message(body=b""), timeout_s=60)
    with pytest.raises(Unroutable):
        await broker.request(name, "key", Message(body=b""), timeout_s=60)


async def test_closing_ends_requests_under_way(broker: Broker, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    request = asyncio.create_task(broker.request("", name, Message(body=b""), timeout_s=60))
    await inbox.take()
    await broker.close()
    with pytest.raises(BrokerUnavailable) as caught:
        await request
    assert caught.value.maybe_published


@pytest.mark.services
async def test_a_reply_to_somebody_who_is_gone_is_lost_in_silence(amqp_url: str, name: str) -> None:
    server, client = RabbitBroker(amqp_url), RabbitBroker(amqp_url)
    await server.connect()
    await client.connect()
    await server.declare(Topology(queues=(Queue(name=name),)))
    inbox = Inbox()
    await server.consume(name, inbox, prefetch=1)
    request = asyncio.create_task(client.request("", name, Message(body=b""), timeout_s=60))
    delivery = await inbox.take()
    await client.close()
    with pytest.raises(BrokerUnavailable):
        await request
    await reply(server, delivery)
    await server.close()


@pytest.mark.services
async def test_a_link_lost_while_waiting_ends_the_request_and_the_next_one_is_answered(amqp_url: str, name: str) -> None:
    server = RabbitBroker(amqp_url)
    await server.connect()
    await server.declare(Topology(queues=(Queue(name=name),)))
    inbox = Inbox()
    await server.consume(name, inbox, prefetch=10)
    async with proxied_async(amqp_url, 5672) as (proxy, url):
        client = RabbitBroker(url)
        await client.connect()
        lost = asyncio.create_task(client.request("", name, Message(body=b"1"), timeout_s=60))
        abandoned = await inbox.take()
        proxy.cut()
        with pytest.raises(BrokerUnavailable) as caught:
            await lost
        assert caught.value.maybe_published
        abandoned.ack()
        again = asyncio.create_task(client.request("", name, Message(body=b"2"), timeout_s=30))
        await reply(server, await inbox.take())
        assert (await again).body == b"22"
        await client.close()
    await server.close()
