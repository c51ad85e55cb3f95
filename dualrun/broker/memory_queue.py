"""A queue in memory that keeps the rules of a RabbitMQ quorum queue."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from dualrun.broker.memory_death import DeathReason
from dualrun.broker.port import Message, OnDelivery, Overflow, Queue, QueueDepth

__all__ = ["MemoryConsumer", "MemoryQueue", "StoredMessage"]

log = logging.getLogger(__name__)

_DELIVERIES_A_TURN = 128
"""A consumer that acks on the spot always has room; others in the event loop want to run too."""


class StoredMessage:
    """A message in one queue. `returns` counts deliveries that ended without an ack."""

    __slots__ = ("exchange", "expires_at_s", "message", "returns", "routing_key", "was_delivered")

    def __init__(self, exchange: str, routing_key: str, message: Message, expires_at_s: float | None) -> None:
        self.exchange = exchange
        self.routing_key = routing_key
        self.message = message
        self.expires_at_s = expires_at_s
        self.returns = 0
        self.was_delivered = False


OnDeath = Callable[["MemoryQueue", StoredMessage, DeathReason], None]


class MemoryDelivery:
    """A message in hand."""

    __slots__ = ("_consumer", "_stored", "delivery_count", "queue", "redelivered")

    def __init__(self, consumer: MemoryConsumer, stored: StoredMessage) -> None:
        self._consumer = consumer
        self._stored = stored
        self.queue = consumer.queue.properties.name
        self.redelivered = stored.was_delivered
        self.delivery_count = stored.returns

    @property
    def message(self) -> Message:
        return self._stored.message

    @property
    def exchange(self) -> str:
        return self._stored.exchange

    @property
    def routing_key(self) -> str:
        return self._stored.routing_key

    def ack(self) -> None:
        self._consumer.release(self._stored)

    def requeue(self) -> None:
        if self._consumer.release(self._stored):
            self._consumer.queue.take_back(self._stored)

    def dead_letter(self) -> None:
        if self._consumer.release(self._stored):
            self._consumer.queue.bury(self._stored, DeathReason.REJECTED)


class MemoryConsumer:
    """One consumption, with what it has in hand."""

    def __init__(self, queue: MemoryQueue, on_delivery: OnDelivery, prefetch: int) -> None:
        self.queue = queue
        self._on_delivery = on_delivery
        self._prefetch = prefetch
        self._in_hand: dict[int, StoredMessage] = {}

    @property
    def has_room(self) -> bool:
        """Whether one more message is within the prefetch."""
        return len(self._in_hand) < self._prefetch

    @property
    def is_empty(self) -> bool:
        """Whether everything it got is settled."""
        return not self._in_hand

    async def cancel(self) -> None:
        self.queue.remove(self)

    async def leave(self) -> None:
        self.queue.remove(self)
        self.drop_all()
        self.queue.forget(self)

    def hand_over(self, stored: StoredMessage) -> None:
        """Give a message to the consumer."""
        self._in_hand[id(stored)] = stored
        delivery = MemoryDelivery(self, stored)
        stored.was_delivered = True
        try:
            self._on_delivery(delivery)
        except Exception:
            # The consumer loop: a failing callback must not stop the others. The message is tried again, within its limit.
            log.exception("on_delivery_failed", extra={"queue": delivery.queue})
            delivery.requeue()

    def release(self, stored: StoredMessage) -> bool:
        """Take a message out of the consumer's hand; False when it is not there, being settled already."""
        released = self._in_hand.pop(id(stored), None) is not None
        if released:
            self.queue.deliver_soon()
            if self.is_empty:
                self.queue.forget(self)
        return released

    def drop_all(self) -> None:
        """The connection is gone: what was in hand goes back."""
        in_hand, self._in_hand = self._in_hand, {}
        for stored in in_hand.values():
            self.queue.take_back(stored)


class _Waiting:
    """Messages nobody has, by priority and then in order; those put back come before those that never left."""

    def __init__(self, max_priority: int) -> None:
        self._highest = max_priority
        self._lines: list[deque[StoredMessage]] = [deque() for _ in range(2 * (max_priority + 1))]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, stored: StoredMessage, *, is_returned: bool) -> None:
        level = min(stored.message.priority or 0, self._highest)
        self._lines[2 * (self._highest - level) + (not is_returned)].append(stored)
        self._count += 1

    def head(self) -> StoredMessage | None:
        return next((line[0] for line in self._lines if line), None)

    def pop(self) -> StoredMessage:
        self._count -= 1
        return next(line for line in self._lines if line).popleft()


class MemoryQueue:
    """Messages in order; those put back come before those that never left."""

    def __init__(self, properties: Queue, on_death: OnDeath) -> None:
        self.properties = properties
        self._on_death = on_death
        self._waiting = _Waiting(properties.max_priority or 0)
        self._consumers: deque[MemoryConsumer] = deque()
        self._holders: set[MemoryConsumer] = set()
        self._deliver_is_due = False
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def depth(self) -> QueueDepth:
        """Messages in nobody's hand, and consumers."""
        return QueueDepth(ready=len(self._waiting), consumers=len(self._consumers))

    @property
    def refuses(self) -> bool:
        """Whether a publisher is turned away now."""
        limit = self.properties.max_length
        return limit is not None and self.properties.overflow is Overflow.REJECT_PUBLISH and len(self._waiting) >= limit

    def put(self, exchange: str, routing_key: str, message: Message) -> None:
        """Take a message whether or not the queue is full; `refuses` is for publishers."""
        self._waiting.append(StoredMessage(exchange, routing_key, message, self._expires_at_s(message)), is_returned=False)
        self._shed()
        self.deliver_soon()

    def _expires_at_s(self, message: Message) -> float | None:
        limits_ms = [limit for limit in (self.properties.message_ttl_ms, message.expiration_ms) if limit is not None]
        return asyncio.get_running_loop().time() + min(limits_ms) / 1000 if limits_ms else None

    def _shed(self) -> None:
        limit = self.properties.max_length
        if limit is None or self.properties.overflow is not Overflow.DROP_HEAD:
            return
        while len(self._waiting) > limit:
            self.bury(self._waiting.pop(), DeathReason.MAXLEN)

    def take_back(self, stored: StoredMessage) -> None:
        """A delivery ended without an ack."""
        stored.returns += 1
        limit = self.properties.delivery_limit
        if limit is not None and stored.returns > limit:
            self.bury(stored, DeathReason.DELIVERY_LIMIT)
            return
        self._waiting.append(stored, is_returned=True)
        self.deliver_soon()

    def bury(self, stored: StoredMessage, reason: DeathReason) -> None:
        """The message leaves for the dead-letter exchange."""
        self._on_death(self, stored, reason)

    def add(self, consumer: MemoryConsumer) -> None:
        """Begin to deliver to a consumer."""
        self._consumers.append(consumer)
        self._holders.add(consumer)
        self.deliver_soon()

    def remove(self, consumer: MemoryConsumer) -> None:
        """Deliver nothing more to a consumer; what it has in hand stays there."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)
            self.deliver_soon()
        self.forget(consumer)

    def forget(self, consumer: MemoryConsumer) -> None:
        """Let go of a cancelled consumer that has nothing in hand."""
        if consumer.is_empty and consumer not in self._consumers:
            self._holders.discard(consumer)

    def disconnect(self) -> None:
        """Every consumer is gone, and what they had in hand goes back."""
        self._consumers.clear()
        for holder in self._holders:
            holder.drop_all()
        self._holders.clear()
        self._deliver_is_due = False
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def deliver_soon(self) -> None:
        """Deliveries come from the event loop, never from inside a publish or an ack."""
        if not self._deliver_is_due:
            self._deliver_is_due = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._deliver_is_due = False
        self._drop_expired()
        for consumer in islice(self._turns(), _DELIVERIES_A_TURN):
            consumer.hand_over(self._waiting.pop())
            self._drop_expired()
        if self._waiting and any(consumer.has_room for consumer in self._consumers):
            self.deliver_soon()
        self._watch_expiry()

    def _turns(self) -> Iterator[MemoryConsumer]:
        """Whose turn it is, as long as there is a message and a consumer with room."""
        while self._waiting:
            consumer = self._next_consumer()
            if consumer is None:
                return
            yield consumer

    def _next_consumer(self) -> MemoryConsumer | None:
        if self.properties.single_active_consumer:
            return next((consumer for consumer in list(self._consumers)[:1] if consumer.has_room), None)
        for _ in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if consumer.has_room:
                return consumer
        return None

    def _drop_expired(self) -> None:
        """As a quorum queue does, look at the head only: a short life behind a long one waits."""
        now_s = asyncio.get_running_loop().time()
        while (head := self._waiting.head()) is not None and head.expires_at_s is not None and head.expires_at_s <= now_s:
            self.bury(self._waiting.pop(), DeathReason.EXPIRED)

    def _watch_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        head = self._waiting.head()
        if head is not None and head.expires_at_s is not None:
            self._expiry = asyncio.get_running_loop().call_at(head.expires_at_s, self._deliver)
