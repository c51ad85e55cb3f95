"""A broker inside the process, for the embedded mode and for tests. It keeps RabbitMQ's rules, not its durability."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from dualrun.broker.amqp_frame import REPLY_ADDRESS, encode_content, parse_message, publish_method
from dualrun.broker.memory_death import DeathReason, is_cycle, with_death
from dualrun.broker.memory_queue import MemoryConsumer, MemoryQueue, StoredMessage
from dualrun.broker.memory_routing import Router
from dualrun.broker.memory_stream import MemoryStream
from dualrun.broker.port import (
    Consumer,
    Exchange,
    HeaderValue,
    Message,
    OnDelivery,
    Outgoing,
    Queue,
    QueueDepth,
    Stream,
    Topology,
)
from dualrun.broker.replies import Replies
from dualrun.errors import BrokerError, BrokerUnavailable, ConfigurationError, PublishRefused, Unroutable

__all__ = ["MemoryBroker"]

_REPLY_TO = f"{REPLY_ADDRESS}memory"


class MemoryBroker:
    """A broker for one event loop; all who shall meet share one object. Its messages live as long as it does, closed or not.

    A dead letter is taken even by a full queue. Priorities count where a queue has a `max_priority`.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._routers: dict[str, Router] = {}
        self._queues: dict[str, MemoryQueue] = {}
        self._streams: dict[str, MemoryStream] = {}
        self._replies = Replies()

    @property
    def is_up(self) -> bool:
        return self._is_open

    async def connect(self) -> None:
        self._is_open = True
        for queue in self._queues.values():
            queue.deliver_soon()

    async def close(self) -> None:
        self._is_open = False
        for queue in self._queues.values():
            queue.disconnect()
        self._replies.lose("the broker was closed")

    async def declare(self, topology: Topology) -> None:
        self._check_open()
        for exchange in topology.exchanges:
            self._declare_exchange(exchange)
        for queue in topology.queues:
            self._declare_queue(queue)
        for stream in topology.streams:
            self._declare_stream(stream)
        for binding in topology.bindings:
            router = self._routers.get(binding.exchange)
            if router is None or self._target(binding.queue) is None:
                raise ConfigurationError(f"queue {binding.queue!r} cannot be bound to exchange {binding.exchange!r}: one does not exist")
            router.bind(binding)

    def _declare_exchange(self, exchange: Exchange) -> None:
        router = self._routers.setdefault(exchange.name, Router(exchange.kind))
        if router.kind is not exchange.kind:
            raise ConfigurationError(f"exchange {exchange.name!r} cannot be declared as {exchange.kind.value}: it is {router.kind.value}")

    def _declare_queue(self, queue: Queue) -> None:
        known = self._target(queue.name)
        if known is None:
            self._queues[queue.name] = MemoryQueue(queue, self._on_death)
        elif known.properties != queue:
            raise ConfigurationError(f"queue {queue.name!r} cannot be declared: it exists with other properties, {known.properties}")

    def _declare_stream(self, stream: Stream) -> None:
        known = self._target(stream.name)
        if known is None:
            self._streams[stream.name] = MemoryStream(stream)
        elif known.properties != stream:
            raise ConfigurationError(f"stream {stream.name!r} cannot be declared: it exists with other properties, {known.properties}")

    def _target(self, name: str) -> MemoryQueue | MemoryStream | None:
        return self._queues.get(name) or self._streams.get(name)

    async def publish(self, exchange: str, routing_key: str, message: Message) -> None:
        self._publish(exchange, routing_key, _as_sent(exchange, routing_key, message))

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[BrokerError | None]:
        sent = [_as_sent(outgoing.exchange, outgoing.routing_key, outgoing.message) for outgoing in messages]
        return [self._outcome(outgoing, message) for outgoing, message in zip(messages, sent, strict=True)]

    def _outcome(self, outgoing: Outgoing, message: Message) -> BrokerError | None:
        try:
            self._publish(outgoing.exchange, outgoing.routing_key, message)
        except BrokerError as exc:
            return exc
        return None

    async def request(self, exchange: str, routing_key: str, message: Message, *, timeout_s: float) -> Message:
        async def send(correlation_id: str) -> None:
            await self.publish(exchange, routing_key, replace(message, reply_to=_REPLY_TO, correlation_id=correlation_id))

        return await self._replies.reply(routing_key, timeout_s, send)

    def _publish(self, exchange: str, routing_key: str, message: Message) -> None:
        self._check_open()
        if exchange == "" and routing_key.startswith(REPLY_ADDRESS):
            self._replies.arrive(message)
            return
        queues = self._route(exchange, routing_key, message.headers)
        if not queues:
            raise Unroutable(exchange, routing_key)
        full = [queue for queue in queues if queue.refuses]
        for queue in queues:
            if queue not in full:
                queue.put(exchange, routing_key, message)
        if full:
            names = ", ".join(queue.properties.name for queue in full)
            raise PublishRefused(f"refused by a full queue: {names}")

    def _route(self, exchange: str, routing_key: str, headers: Mapping[str, HeaderValue]) -> list[MemoryQueue | MemoryStream]:
        if exchange == "":
            names: Sequence[str] = (routing_key,)
        else:
            router = self._routers.get(exchange)
            names = router.queues(routing_key, headers) if router is not None else ()
        return [target for target in map(self._target, names) if target is not None]

    def _on_death(self, queue: MemoryQueue, stored: StoredMessage, reason: DeathReason) -> None:
        properties = queue.properties
        exchange = properties.dead_letter_exchange
        if exchange is None:
            return
        dead = with_death(
            stored.message,
            queue=properties.name,
            exchange=stored.exchange,
            routing_key=stored.routing_key,
            reason=reason,
            at=datetime.now(UTC),
        )
        routing_key = stored.routing_key if properties.dead_letter_routing_key is None else properties.dead_letter_routing_key
        for target in self._route(exchange, routing_key, dead.headers):
            if not is_cycle(dead, target.properties.name):
                target.put(exchange, routing_key, dead)

    async def consume(self, queue: str, on_delivery: OnDelivery, *, prefetch: int) -> Consumer:
        """As the port says. Raises `BrokerUnavailable`; `ConfigurationError` where there is no such queue."""
        self._check_open()
        if not 1 <= prefetch <= 65_535:
            raise ConfigurationError(f"prefetch must be between 1 and 65535, not {prefetch}")
        source = self._queues.get(queue)
        if source is None:
            raise ConfigurationError(f"queue {queue!r} does not exist: declare it before consuming")
        consumer = MemoryConsumer(source, on_delivery, prefetch)
        source.add(consumer)
        return consumer

    async def read(self, stream: str, *, since: datetime | None = None) -> AsyncIterator[Message]:
        self._check_open()
        source = self._streams.get(stream)
        if source is None:
            raise ConfigurationError(f"stream {stream!r} cannot be read: it does not exist")
        for message in source.read(since):
            yield message

    async def depth(self, queue: str) -> QueueDepth | None:
        self._check_open()
        found = self._queues.get(queue)
        return found.depth if found is not None else None

    def _check_open(self) -> None:
        if not self._is_open:
            raise BrokerUnavailable("not connected")


def _as_sent(exchange: str, routing_key: str, message: Message) -> Message:
    """What a consumer will see: as AMQP carries it, so that nothing works here and fails on RabbitMQ."""
    publish_method(exchange, routing_key)
    return parse_message(*encode_content(message))
