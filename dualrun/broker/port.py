"""What dualrun asks of a message broker, in AMQP 0.9.1's terms. Adapters: RabbitMQ, and one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from dualrun.errors import BrokerError

__all__ = [
    "Binding",
    "Broker",
    "Consumer",
    "Delivery",
    "Exchange",
    "ExchangeKind",
    "HeaderValue",
    "Message",
    "OnDelivery",
    "Outgoing",
    "Overflow",
    "Queue",
    "QueueDepth",
    "Stream",
    "Topology",
]

HeaderValue: TypeAlias = "None | bool | int | float | str | bytes | Sequence[HeaderValue] | Mapping[str, HeaderValue]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it is published; always persistent."""

    body: bytes
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    priority: int | None = None
    expiration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message with its address."""

    exchange: str
    routing_key: str
    message: Message


class ExchangeKind(StrEnum):
    """How an exchange chooses queues."""

    DIRECT = "direct"
    TOPIC = "topic"
    FANOUT = "fanout"
    HEADERS = "headers"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange."""

    name: str
    kind: ExchangeKind = ExchangeKind.TOPIC


class Overflow(StrEnum):
    """What a full queue does with the next message."""

    REJECT_PUBLISH = "reject-publish"
    DROP_HEAD = "drop-head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A durable queue; a quorum queue on RabbitMQ."""

    name: str
    max_length: int | None = None
    overflow: Overflow = Overflow.REJECT_PUBLISH
    message_ttl_ms: int | None = None
    dead_letter_exchange: str | None = None
    """Where rejected, expired and too often delivered messages go; None lets them vanish. The empty string is the default exchange."""
    dead_letter_routing_key: str | None = None
    delivery_limit: int | None = None
    """Deliveries without an ack after which a message is dead-lettered."""
    single_active_consumer: bool = False
    max_priority: int | None = None
    """Messages of higher priority, up to this one, overtake others. A classic queue then, kept by one node and without `delivery_limit`:
    quorum queues of RabbitMQ 3 know no priorities."""
    expires_ms: int | None = None
    """The queue goes once nobody has consumed from it for so long; None keeps it. In memory all queues are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A durable log of messages: reading takes nothing out, and age and size bound it."""

    name: str
    max_age_s: int = 7 * 24 * 3600
    max_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Binding:
    """Messages on `exchange` whose key matches `pattern` go to `queue`, which may be a stream."""

    exchange: str
    queue: str
    pattern: str
    arguments: Mapping[str, HeaderValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Everything a process needs to stand; declaring it again changes nothing."""

    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    streams: tuple[Stream, ...] = ()
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How full a queue is."""

    ready: int
    consumers: int


class Delivery(Protocol):
    """A message in hand, to be settled exactly once. Settling is not awaited: the adapter groups acks."""

    @property
    def message(self) -> Message: ...
    @property
    def exchange(self) -> str: ...
    @property
    def routing_key(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def redelivered(self) -> bool: ...
    @property
    def delivery_count(self) -> int:
        """Earlier deliveries of this message that ended without an ack (0 at the first)."""
        ...

    def ack(self) -> None:
        """Done with it."""
        ...

    def requeue(self) -> None:
        """Put it back; it counts as a delivery."""
        ...

    def dead_letter(self) -> None:
        """Refuse it: the queue's dead-letter exchange gets it."""
        ...


OnDelivery: TypeAlias = Callable[[Delivery], None]
"""Called in the event loop for each message; must not block and must not raise."""


class Consumer(Protocol):
    """A running consumption."""

    async def cancel(self) -> None:
        """Take no further messages. Those in hand can still be settled."""
        ...

    async def leave(self) -> None:
        """Be gone at once: what is in hand goes back, in its order and before anybody else is given what comes after it."""
        ...


class Broker(Protocol):
    """A connection to a message broker. It reconnects by itself, and declares and consumes again what it had."""

    @property
    def is_up(self) -> bool:
        """Whether there is a link now. Nothing is asked: a link that is dead and silent is up until that is noticed."""
        ...

    async def connect(self) -> None:
        """Raises `BrokerUnavailable` when the broker cannot be reached now."""
        ...

    async def close(self) -> None:
        """Send what is still owed (acks, confirms), then leave."""
        ...

    async def declare(self, topology: Topology) -> None:
        """Raises `BrokerUnavailable`; `ConfigurationError` where something of that name exists with other properties."""
        ...

    async def publish(self, exchange: str, routing_key: str, message: Message) -> None:
        """Return once the broker has confirmed the message.

        Raises `Unroutable`, `PublishRefused` or `BrokerUnavailable`.
        """
        ...

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[BrokerError | None]:
        """As `publish` for each, all in flight at once: an error or None a message, in order. Never raises a `BrokerError`."""
        ...

    async def request(self, exchange: str, routing_key: str, message: Message, *, timeout_s: float) -> Message:
        """Publish as `publish` does, and return the reply to it.

        Whoever consumes it finds `reply_to` and `correlation_id` set: the reply is published on the default exchange to the former, with
        the latter. A reply exists nowhere but on its way: one that comes too late, or to somebody who is gone, is lost in silence. Raises
        what `publish` raises; `NoReply` after `timeout_s`; `BrokerUnavailable` where the link is lost meanwhile, and the reply with it.
        """
        ...

    async def consume(self, queue: str, on_delivery: OnDelivery, *, prefetch: int) -> Consumer:
        """Deliver messages of `queue`, at most `prefetch` unsettled at a time."""
        ...

    def read(self, stream: str, *, since: datetime | None = None) -> AsyncIterator[Message]:
        """What a stream holds now, oldest first; `since` may give some that are older. Raises `BrokerUnavailable`, `ConfigurationError`."""
        ...

    async def depth(self, queue: str) -> QueueDepth | None:
        """How full a queue is; None where there is no such queue."""
        ...
