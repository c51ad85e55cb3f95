"""What survives a broken link to RabbitMQ. A proxy breaks it."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import aiormq
import pytest

from dualrun.broker import Binding, Delivery, Exchange, Message, Outgoing, Queue, QueueDepth, Topology
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.errors import BrokerError, BrokerUnavailable, ConfigurationError, Unroutable
from tests.support.eventually import becomes
from tests.support.inbox import Inbox
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.services


@pytest.fixture
async def broker(proxied_url: str) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(proxied_url)
    await broker.connect()
    yield broker
    await broker.close()


async def test_confirmed_messages_are_consumed_and_publishers_go_on_across_cuts(
    broker: RabbitBroker, proxied_url: str, proxy: TcpProxy, name: str
) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    seen: Counter[bytes] = Counter()

    def on_delivery(delivery: Delivery) -> None:
        seen[delivery.message.body] += 1
        delivery.ack()

    consuming = RabbitBroker(proxied_url)
    await consuming.connect()
    await consuming.consume(name, on_delivery, prefetch=50)
    publishers = _Publishers(broker, name)

    async def consumed(bodies: set[bytes]) -> bool:
        return bodies <= seen.keys()

    for _ in range(3):
        await publishers.confirm_more(200)
        # Both links are up again, so that the cut breaks both.
        await becomes(partial(consumed, set(publishers.confirmed)), expected=True)
        proxy.cut()
    await publishers.confirm_more(200)
    await publishers.stop()
    await becomes(partial(consumed, publishers.confirmed), expected=True)
    assert publishers.in_doubt > 0
    assert proxy.links >= 8
    await consuming.close()


class _Publishers:
    """Sixteen who publish on, whatever happens, and remember what was confirmed."""

    def __init__(self, broker: RabbitBroker, queue: str) -> None:
        self.confirmed: set[bytes] = set()
        self.in_doubt = 0
        self._broker = broker
        self._queue = queue
        self._stopped = False
        self._tasks = [asyncio.create_task(self._publish_on(b"%d" % number)) for number in range(16)]

    async def _publish_on(self, prefix: bytes) -> None:
        for number in itertools.count():
            if self._stopped:
                return
            body = b"%s-%d" % (prefix, number)
            (error,) = await self._broker.publish_many([Outgoing("", self._queue, Message(body=body))])
            if error is None:
                self.confirmed.add(body)
            else:
                self.in_doubt += isinstance(error, BrokerUnavailable) and error.maybe_published

    async def confirm_more(self, count: int) -> None:
        wanted = len(self.confirmed) + count

        async def enough() -> bool:
            return len(self.confirmed) >= wanted

        await becomes(enough, expected=True)

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)


async def test_a_lost_topology_is_declared_again_and_consumed_again(
    broker: RabbitBroker, proxy: TcpProxy, amqp_url: str, name: str
) -> None:
    await broker.declare(Topology(exchanges=(Exchange(name),), queues=(Queue(name=name),), bindings=(Binding(name, name, "a.#"),)))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=5)
    proxy.refuse()
    proxy.cut()
    await _delete(amqp_url, queue=name, exchange=name)
    await proxy.listen()
    await broker.publish(name, "a.b", Message(body=b"after"))
    delivery = await inbox.take()
    assert delivery.message.body == b"after"
    delivery.ack()
    await becomes(lambda: broker.depth(name), QueueDepth(ready=0, consumers=1))


async def _delete(url: str, *, queue: str | None = None, exchange: str | None = None) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        if queue is not None:
            await channel.queue_delete(queue)
        if exchange is not None:
            await channel.exchange_delete(exchange)


async def test_a_deleted_queue_is_declared_and_consumed_again_on_the_same_link(broker: RabbitBroker, amqp_url: str, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=5)
    await _delete(amqp_url, queue=name)
    await becomes(lambda: broker.depth(name), QueueDepth(ready=0, consumers=1))
    await broker.publish("", name, Message(body=b"after"))
    assert (await inbox.take()).message.body == b"after"


async def test_a_deleted_exchange_is_unroutable_and_publishing_goes_on(broker: RabbitBroker, amqp_url: str, name: str) -> None:
    await broker.declare(Topology(exchanges=(Exchange(name),), queues=(Queue(name=name),), bindings=(Binding(name, name, "#"),)))
    await broker.publish(name, "key", Message(body=b"1"))
    await _delete(amqp_url, exchange=name)
    # RabbitMQ closes the channel for this one, and with it goes what we knew of exchanges.
    with pytest.raises(BrokerError):
        await broker.publish(name, "key", Message(body=b"2"))
    with pytest.raises(Unroutable):
        await broker.publish(name, "key", Message(body=b"3"))
    await broker.publish("", name, Message(body=b"4"))


async def test_settling_after_the_link_was_lost_changes_nothing_and_the_message_comes_again(
    broker: RabbitBroker, proxy: TcpProxy, name: str
) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    await broker.publish("", name, Message(body=b"1"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    first = await inbox.take()
    proxy.cut()
    second = await inbox.take()
    first.ack()
    assert (second.message.body, second.redelivered, second.delivery_count) == (b"1", True, 1)
    second.ack()
    await becomes(lambda: broker.depth(name), QueueDepth(ready=0, consumers=1))


async def test_a_cancelled_consumption_stays_cancelled_when_the_link_comes_back(broker: RabbitBroker, proxy: TcpProxy, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    inbox = Inbox()
    consumer = await broker.consume(name, inbox, prefetch=1)
    await consumer.cancel()
    proxy.cut()
    await becomes(lambda: _fate(broker, name), "published")
    await becomes(lambda: broker.depth(name), QueueDepth(ready=1, consumers=0))
    assert (inbox.waiting, proxy.links) == (0, 2)


async def test_a_broker_knows_whether_its_link_is_up(broker: RabbitBroker, proxy: TcpProxy) -> None:
    async def is_up() -> bool:
        return broker.is_up

    assert broker.is_up
    proxy.refuse()
    proxy.cut()
    await becomes(is_up, False)
    await proxy.listen()
    await becomes(is_up, True)
    await broker.close()
    assert not broker.is_up


async def test_nothing_was_published_when_the_broker_stays_out_of_reach(proxied_url: str, proxy: TcpProxy, name: str) -> None:
    broker = RabbitBroker(proxied_url, connect_wait_s=1.5)
    await broker.connect()
    await broker.declare(Topology(queues=(Queue(name=name),)))
    proxy.refuse()
    proxy.cut()
    await becomes(lambda: _fate(broker, name), "not published")
    errors = await broker.publish_many([Outgoing("", name, Message(body=b"1"))] * 3)
    assert [isinstance(error, BrokerUnavailable) and error.maybe_published for error in errors] == [False] * 3
    with pytest.raises(BrokerUnavailable):
        await broker.depth(name)
    await proxy.listen()
    await becomes(lambda: _fate(broker, name), "published")
    assert await broker.depth(name) == QueueDepth(ready=1, consumers=0)
    await broker.close()


async def test_publishers_wait_for_room_while_the_link_is_down_and_lose_nothing(proxied_url: str, proxy: TcpProxy, name: str) -> None:
    broker = RabbitBroker(proxied_url, connect_wait_s=30, buffer_max=10)
    await broker.connect()
    await broker.declare(Topology(queues=(Queue(name=name),)))
    proxy.refuse()
    proxy.cut()
    await becomes(lambda: _is_kept_waiting(broker, name), True)
    before = broker.waiting
    publishing = [asyncio.create_task(broker.publish("", name, Message(body=b"%d" % number))) for number in range(100)]
    many = asyncio.create_task(broker.publish_many([Outgoing("", name, Message(body=b"many"))] * 100))
    await asyncio.wait([*publishing, many], timeout=0.1)
    assert before < broker.waiting <= 10
    await proxy.listen()
    await asyncio.gather(*publishing)
    assert await many == [None] * 100
    await becomes(lambda: _ready_at_least(broker, name, 200), True)
    await broker.close()


async def _is_kept_waiting(broker: RabbitBroker, queue: str) -> bool:
    """Publish one more; True once the loss of the link is known, and the message waits for the next one."""
    probe = asyncio.create_task(broker.publish_many([Outgoing("", queue, Message(body=b"probe"))]))
    await asyncio.wait([probe], timeout=0.05)
    return not probe.done()


async def _ready_at_least(broker: RabbitBroker, queue: str, count: int) -> bool:
    depth = await broker.depth(queue)
    return depth is not None and depth.ready >= count


async def test_a_full_buffer_that_does_not_empty_turns_publishers_away(proxied_url: str, proxy: TcpProxy, name: str) -> None:
    broker = RabbitBroker(proxied_url, connect_wait_s=1.5, confirm_wait_s=1.5, buffer_max=2)
    await broker.connect()
    await broker.declare(Topology(queues=(Queue(name=name),)))
    proxy.refuse()
    proxy.cut()
    await becomes(lambda: _fate(broker, name), "not published")
    errors = await asyncio.gather(*(broker.publish("", name, Message(body=b"")) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(error, BrokerUnavailable) and not error.maybe_published for error in errors)
    await broker.close()


async def _fate(broker: RabbitBroker, queue: str) -> str:
    (error,) = await broker.publish_many([Outgoing("", queue, Message(body=b"1"))])
    if error is None:
        return "published"
    return "in doubt" if isinstance(error, BrokerUnavailable) and error.maybe_published else "not published"


async def test_a_confirm_that_never_comes_ends_in_doubt_and_a_dead_link_is_replaced(proxied_url: str, proxy: TcpProxy, name: str) -> None:
    broker = RabbitBroker(proxied_url, confirm_wait_s=1.5)
    await broker.connect()
    await broker.declare(Topology(queues=(Queue(name=name),)))
    # The channel for publishing is opened beside all this: it is open once something went through it.
    await becomes(lambda: _fate(broker, name), "published")
    proxy.freeze()
    with pytest.raises(BrokerUnavailable) as raised:
        await broker.publish("", name, Message(body=b"1"))
    assert raised.value.maybe_published
    proxy.thaw()
    await becomes(lambda: _fate(broker, name), "published")
    assert proxy.links == 2
    await broker.close()


async def test_connecting_to_nothing_fails_within_the_wait_and_can_be_repeated(proxied_url: str, proxy: TcpProxy, name: str) -> None:
    broker = RabbitBroker(proxied_url, connect_wait_s=1.5)
    proxy.refuse()
    with pytest.raises(BrokerUnavailable):
        await broker.connect()
    proxy.freeze()
    await proxy.listen()
    with pytest.raises(BrokerUnavailable):
        await broker.connect()
    proxy.thaw()
    await broker.connect()
    assert await broker.depth(name) is None
    await broker.close()


async def test_wrong_credentials_are_unavailable_with_a_reason(amqp_url: str) -> None:
    wrong = amqp_url.replace("guest:guest", "guest:wrong")
    with pytest.raises(BrokerUnavailable, match=r"(?i)login|refused|auth"):
        await RabbitBroker(wrong).connect()


async def test_closing_sends_what_is_owed(broker: RabbitBroker, amqp_url: str, name: str) -> None:
    await broker.declare(Topology(queues=(Queue(name=name),)))
    await broker.publish("", name, Message(body=b"in hand"))
    inbox = Inbox()
    await broker.consume(name, inbox, prefetch=1)
    delivery = await inbox.take()
    delivery.ack()
    publishes = [asyncio.create_task(broker.publish("", name, Message(body=b"owed"))) for _ in range(200)]
    await asyncio.sleep(0)
    await broker.close()
    await asyncio.gather(*publishes)
    async with aiormq.connect(amqp_url) as connection:
        channel = await connection.channel()
        assert (await channel.queue_declare(name, passive=True)).message_count == 200


async def test_a_topology_that_no_longer_fits_does_not_keep_the_link_down(
    broker: RabbitBroker, proxy: TcpProxy, amqp_url: str, name: str
) -> None:
    await broker.declare(Topology(queues=(Queue(name=name, max_length=5), Queue(name=f"{name}.other"))))
    proxy.refuse()
    proxy.cut()
    await _delete(amqp_url, queue=name)
    other = RabbitBroker(amqp_url)
    await other.connect()
    await other.declare(Topology(queues=(Queue(name=name, max_length=6),)))
    await other.close()
    await proxy.listen()
    await broker.publish("", f"{name}.other", Message(body=b"1"))
    with pytest.raises(ConfigurationError):
        await broker.declare(Topology(queues=(Queue(name=name, max_length=5),)))
