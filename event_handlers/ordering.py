"""Events of one key, one after another, in the order they were published; events of different keys at the same time.

Of all processes one consumes (single active consumer; another takes over when it goes), and within it an event waits for those before it of
the same key. One that fails, or is not due yet, waits in its place, so that none overtakes it: in the worker's hand, not in a retry queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from dualrun.broker import Broker, Consumer, Delivery, Message
from dualrun.contracts import Event, NotAnEvent, event_from_message
from dualrun.contracts.topology import HEADER_ATTEMPT
from event_handlers.lane import Lane

__all__ = ["InPlace", "KeyOf", "OrderedLane"]

KeyOf = Callable[[Event], str | None]
"""What an event is in order with; None for one that may run at any time."""
Work = Callable[[Delivery], Awaitable[None]]


class _Again(Exception):
    """The delivery is to be processed again, as this message."""

    def __init__(self, message: Message, delay_s: float) -> None:
        super().__init__(delay_s)
        self.message = message
        self.delay_s = delay_s


class InPlace:
    """A `Ladder` on which nothing leaves: what is postponed waits where it is."""

    async def postpone(self, message: Message, _queue: str, delay_s: float, attempt: int, at_most_s: float | None = None) -> None:
        raise _Again(replace(message, headers={**message.headers, HEADER_ATTEMPT: str(attempt)}), delay_s)

    async def park(self, message: Message, _queue: str, wait_s: float) -> None:
        raise _Again(message, wait_s)


@dataclass(frozen=True, slots=True)
class _Retold:
    """A delivery whose message has become another."""

    message: Message
    told: Delivery

    @property
    def exchange(self) -> str:
        return self.told.exchange

    @property
    def routing_key(self) -> str:
        return self.told.routing_key

    @property
    def queue(self) -> str:
        return self.told.queue

    @property
    def redelivered(self) -> bool:
        return self.told.redelivered

    @property
    def delivery_count(self) -> int:
        return self.told.delivery_count

    def ack(self) -> None:
        self.told.ack()

    def requeue(self) -> None:
        self.told.requeue()

    def dead_letter(self) -> None:
        self.told.dead_letter()


class _OneByOne:
    """Work of which each waits for the one before it with the same key."""

    def __init__(self, work: Work, key_of: KeyOf) -> None:
        self._work = work
        self._key_of = key_of
        self._last: dict[str, asyncio.Event] = {}

    async def __call__(self, delivery: Delivery) -> None:
        key = self._key(delivery.message)
        if key is None:
            await self._until_settled(delivery)
            return
        before, done = self._last.get(key), asyncio.Event()
        self._last[key] = done
        try:
            if before is not None:
                await before.wait()
            await self._until_settled(delivery)
        finally:
            done.set()
            if self._last.get(key) is done:
                del self._last[key]

    def _key(self, message: Message) -> str | None:
        try:
            return self._key_of(event_from_message(message.headers, message.body))
        except NotAnEvent:
            return None

    async def _until_settled(self, delivery: Delivery) -> None:
        current = delivery
        while True:
            try:
                await self._work(current)
            except _Again as again:
                await asyncio.sleep(again.delay_s)
                current = _Retold(again.message, delivery)
            else:
                return


class OrderedLane(Lane):
    """Consumption that keeps the order within a key, also when it is handed over."""

    def __init__(self, broker: Broker, queue: str, work: Work, key_of: KeyOf, *, concurrency: int, prefetch: int | None = None) -> None:
        super().__init__(broker, queue, _OneByOne(work, key_of), concurrency=concurrency, prefetch=prefetch)
        self._leaving: Consumer | None = None

    async def close(self) -> None:
        """Begin nothing further. What waits stays in hand: given back now, it could overtake what runs."""
        self._is_closing = True
        self._leaving, self._consumer = self._consumer, None

    async def drain(self, patience_s: float) -> None:
        await super().drain(patience_s)
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            await leaving.leave()

    def _on_delivery(self, delivery: Delivery) -> None:
        if not self._is_closing:
            super()._on_delivery(delivery)

    def _give_back(self, delivery: Delivery) -> None:
        """It stays in hand: put back by itself, it would come behind those after it."""

    async def _hand_back(self) -> None:
        """All of it goes back in one piece, in its order, which copies would lose; the broker counts that as a delivery."""
        self._waiting.clear()
