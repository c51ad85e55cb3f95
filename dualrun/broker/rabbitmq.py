"""RabbitMQ behind the port: one connection, a channel to publish, and a channel for each consumer."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from dualrun.background import cancelled
from dualrun.broker.amqp_frame import Content, encode_content, publish_method
from dualrun.broker.port import Consumer, Message, OnDelivery, Outgoing, QueueDepth, Topology
from dualrun.broker.rabbitmq_consumer import RabbitConsumer
from dualrun.broker.rabbitmq_link import Link, backoff_s
from dualrun.broker.rabbitmq_publisher import BUFFER_MAX, Publisher
from dualrun.broker.rabbitmq_reconnect import LinkKeeper
from dualrun.broker.rabbitmq_request import Requester
from dualrun.broker.rabbitmq_stream import read_stream
from dualrun.broker.rabbitmq_topology import declare, exchange_exists, merged, queue_depth
from dualrun.errors import BrokerError, BrokerUnavailable, ConfigurationError, Unroutable

__all__ = ["RabbitBroker"]

log = logging.getLogger(__name__)


class RabbitBroker:
    """A broker for one event loop. `name` is what RabbitMQ shows as the connection's name.

    A call that needs the broker waits `connect_wait_s` for a link that is being restored, and `confirm_wait_s` for an answer. At most
    `buffer_max` messages wait to be sent; a `publish` beyond that waits until there is room.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "dualrun",
        connect_wait_s: float = 5.0,
        confirm_wait_s: float = 10.0,
        buffer_max: int = BUFFER_MAX,
    ) -> None:
        self._url = url
        self._name = name
        self._connect_wait_s = connect_wait_s
        self._confirm_wait_s = confirm_wait_s
        self._topology = Topology()
        self._exchanges: set[str] = {""}
        self._publisher = Publisher(connect_wait_s=connect_wait_s, confirm_wait_s=confirm_wait_s, buffer_max=buffer_max)
        self._publishing: asyncio.Task[None] | None = None
        self._requester = Requester(connect_wait_s=connect_wait_s, confirm_wait_s=confirm_wait_s)
        self._requesting: asyncio.Task[None] | None = None
        self._consumers: set[RabbitConsumer] = set()
        self._keeper = LinkKeeper(self._open_link, self._restore_topology)

    @property
    def is_up(self) -> bool:
        return self._keeper.is_up

    async def connect(self) -> None:
        await self._keeper.start()
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._keep_publishing(self._publisher), name="keep the channel for publishing")

    async def close(self) -> None:
        consumers, self._consumers = self._consumers, set()
        await asyncio.gather(*(consumer.finish() for consumer in consumers))
        publishing, requesting = self._publishing, self._requesting
        self._publishing = self._requesting = None
        await self._publisher.drain(self._confirm_wait_s)
        await self._requester.drain(self._confirm_wait_s)
        await cancelled(publishing, requesting)
        await self._keeper.close()

    async def declare(self, topology: Topology) -> None:
        await declare(await self._keeper.link(self._connect_wait_s), topology)
        self._topology = merged(self._topology, topology)
        self._exchanges |= {exchange.name for exchange in topology.exchanges}

    async def publish(self, exchange: str, routing_key: str, message: Message) -> None:
        content = _encoded(exchange, routing_key, message)
        self._check_open()
        if exchange not in self._exchanges:
            await self._look_up(exchange, routing_key)
        if self._publisher.is_full:
            await self._publisher.room()
        error = await self._publisher.send(exchange, routing_key, content)
        if error is not None:
            raise error

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[BrokerError | None]:
        contents = [_encoded(outgoing.exchange, outgoing.routing_key, outgoing.message) for outgoing in messages]
        verdicts: list[asyncio.Future[BrokerError | None] | BrokerError] = []
        for outgoing, content in zip(messages, contents, strict=True):
            try:
                self._check_open()
                if outgoing.exchange not in self._exchanges:
                    await self._look_up(outgoing.exchange, outgoing.routing_key)
                if self._publisher.is_full:
                    await self._publisher.room()
                verdicts.append(self._publisher.send(outgoing.exchange, outgoing.routing_key, content))
            except BrokerError as exc:
                verdicts.append(exc)
        return [verdict if isinstance(verdict, BrokerError) else await verdict for verdict in verdicts]

    async def request(self, exchange: str, routing_key: str, message: Message, *, timeout_s: float) -> Message:
        _encoded(exchange, routing_key, message)
        self._check_open()
        if exchange not in self._exchanges:
            await self._look_up(exchange, routing_key)
        if self._requesting is None:
            self._requesting = asyncio.create_task(self._keep_publishing(self._requester), name="keep the channel for requests")
        return await self._requester.request(exchange, routing_key, message, timeout_s)

    async def consume(self, queue: str, on_delivery: OnDelivery, *, prefetch: int) -> Consumer:
        """As the port says. Raises `BrokerUnavailable`; `ConfigurationError` where there is no such queue."""
        if not 1 <= prefetch <= 65_535:
            raise ConfigurationError(f"prefetch must be between 1 and 65535, not {prefetch}")
        consumer = RabbitConsumer(queue, on_delivery, prefetch=prefetch)
        await consumer.start(await self._keeper.link(self._connect_wait_s), self._revived_link)
        self._consumers = {known for known in self._consumers if not known.is_finished} | {consumer}
        return consumer

    async def read(self, stream: str, *, since: datetime | None = None) -> AsyncIterator[Message]:
        link = await self._keeper.link(self._connect_wait_s)
        async for message in read_stream(link, stream, since, self.publish, self._confirm_wait_s):
            yield message

    async def depth(self, queue: str) -> QueueDepth | None:
        """As the port says. Raises `BrokerUnavailable`."""
        return await queue_depth(await self._keeper.link(self._connect_wait_s), queue)

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent."""
        return self._publisher.waiting

    def _check_open(self) -> None:
        if self._publishing is None:
            raise BrokerUnavailable("not connected")

    async def _look_up(self, exchange: str, routing_key: str) -> None:
        """Publishing to a missing exchange closes the channel under everybody's messages, so ask first, once."""
        if not await exchange_exists(await self._keeper.link(self._connect_wait_s), exchange):
            raise Unroutable(exchange, routing_key)
        self._exchanges.add(exchange)

    async def _open_link(self) -> Link:
        return await Link.open(self._url, name=self._name, wait_s=self._connect_wait_s, reply_wait_s=self._confirm_wait_s)

    async def _restore_topology(self, link: Link) -> None:
        try:
            await declare(link, self._topology)
        except ConfigurationError as exc:
            # Somebody declared it otherwise meanwhile: what still fits keeps working.
            log.error("topology_not_restored", extra={"reason": str(exc)})

    async def _revived_link(self) -> Link:
        link = await self._keeper.link(None)
        await self._restore_topology(link)
        return link

    async def _keep_publishing(self, publisher: Publisher) -> None:
        for attempt in itertools.count():
            try:
                link = await self._keeper.link(None)
                channel = await (await link.open_channel(confirms=True)).get_underlay_channel()
                link.listen(channel, publisher)
                await publisher.prepare(link, channel)
            except BrokerUnavailable as exc:
                log.warning("publish_channel_retry", extra={"reason": str(exc)})
                await asyncio.sleep(backoff_s(min(attempt, 3)))
                continue
            publisher.attach(link, channel)
            closing = channel.closing
            await asyncio.wait([closing, link.lost], return_when=asyncio.FIRST_COMPLETED)
            # An exchange that was deleted closes the channel; look all of them up again.
            self._exchanges = {""}
            publisher.detach(_cause(closing))


def _encoded(exchange: str, routing_key: str, message: Message) -> Content:
    """Raises `ValueError` or `TypeError` for what AMQP cannot carry, before anything is sent."""
    publish_method(exchange, routing_key)
    return encode_content(message)


def _cause(closing: asyncio.Future[object]) -> str:
    if not closing.done() or closing.cancelled():
        return "the connection was lost"
    return str(closing.exception() or "the channel was closed")
