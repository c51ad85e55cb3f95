"""Consuming from RabbitMQ: a channel for each consumer, messages handed over without a task, acks in groups."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiormq.abc
from aio_pika.abc import AbstractQueue
from aio_pika.exceptions import AMQPChannelError

from dualrun.background import cancelled
from dualrun.broker.amqp_frame import DeliverArguments, parse_deliver, parse_message
from dualrun.broker.port import Message, OnDelivery
from dualrun.broker.rabbitmq_link import Link, backoff_s
from dualrun.broker.rabbitmq_tap import ChannelSink
from dualrun.broker.rabbitmq_topology import queue_depth
from dualrun.broker.settlement import Settlement
from dualrun.errors import BrokerUnavailable, ConfigurationError

__all__ = ["RabbitConsumer"]

log = logging.getLogger(__name__)

_ACK_DELAY_S = 0.001
_DELIVERY_COUNT = "x-delivery-count"


class RabbitDelivery:
    """A message in hand."""

    __slots__ = ("_arguments", "_session", "_settled", "delivery_count", "message", "queue")

    def __init__(self, session: _Session, arguments: DeliverArguments, message: Message, delivery_count: int) -> None:
        self._session = session
        self._arguments = arguments
        self._settled = False
        self.queue = session.queue
        self.message = message
        self.delivery_count = delivery_count

    @property
    def exchange(self) -> str:
        return self._arguments.exchange

    @property
    def routing_key(self) -> str:
        return self._arguments.routing_key

    @property
    def redelivered(self) -> bool:
        return self._arguments.redelivered

    def ack(self) -> None:
        self._settle(self._session.settlement.ack)

    def requeue(self) -> None:
        self._settle(self._session.settlement.requeue)

    def dead_letter(self) -> None:
        self._settle(self._session.settlement.reject)

    def _settle(self, how: Callable[[int], None]) -> None:
        if not self._settled:
            self._settled = True
            how(self._arguments.tag)
            self._session.note_settled()


class _Session(ChannelSink):
    """A consumption on one channel; it ends with the channel."""

    def __init__(
        self, link: Link, consumed: AbstractQueue, channel: aiormq.abc.AbstractChannel, on_delivery: OnDelivery, prefetch: int
    ) -> None:
        self.queue = consumed.name
        self.settlement = Settlement(channel.number)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.in_hand = 0
        self.consumed = consumed
        self.link = link
        self._on_delivery = on_delivery
        self._group = max(1, prefetch // 4)
        self._flush_handle: asyncio.Handle | None = None
        self._flush_is_soon = False
        self._on_empty: Callable[[], None] | None = None
        channel.on_consumer_cancel_callbacks.add(lambda _: self._end("the broker ended the consumption"))
        # Not aio-pika's close callbacks, which come later: an ack on a closed channel costs the connection.
        channel.closing.add_done_callback(self._on_channel_closing)
        link.lost.add_done_callback(self._on_link_lost)

    def _on_channel_closing(self, closing: asyncio.Future[Any]) -> None:
        cause = None if closing.cancelled() else closing.exception()
        self._end(str(cause) or "the channel was closed")

    def _on_link_lost(self, _: asyncio.Future[str]) -> None:
        self._end("the connection was lost")

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    def on_deliver(self, method: bytes, header: bytes, body: bytes) -> None:
        arguments = parse_deliver(method)
        self.in_hand += 1
        try:
            message, delivery_count = _counted(parse_message(header, body))
        except (ValueError, IndexError) as exc:
            log.error("message_unreadable", extra={"queue": self.queue, "reason": str(exc)})
            self.settlement.reject(arguments.tag)
            self.note_settled()
            return
        delivery = RabbitDelivery(self, arguments, message, delivery_count)
        try:
            self._on_delivery(delivery)
        except Exception:
            log.exception("on_delivery_failed", extra={"queue": self.queue})
            delivery.requeue()

    def note_settled(self) -> None:
        """Tell the broker: in this turn when much is due, otherwise together with what is settled in the next moment."""
        self.in_hand -= 1
        if self.ended.done():
            return
        loop = asyncio.get_running_loop()
        if self.settlement.acked >= self._group and not self._flush_is_soon:
            self._cancel_flush()
            self._flush_is_soon = True
            self._flush_handle = loop.call_soon(self.flush)
        elif self._flush_handle is None:
            self._flush_handle = loop.call_later(_ACK_DELAY_S, self.flush)

    def _cancel_flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
        self._flush_handle = None
        self._flush_is_soon = False

    def flush(self) -> None:
        """Tell the broker now."""
        self._cancel_flush()
        if self.settlement.is_due and not self.ended.done() and self.link.is_up:
            self.link.write(self.settlement.take_frames())
        if self.in_hand == 0 and self._on_empty is not None:
            self._on_empty()
            self._on_empty = None

    def when_empty(self, call: Callable[[], None]) -> None:
        """Call once every message in hand is settled."""
        self._on_empty = call
        self.flush()


def _counted(message: Message) -> tuple[Message, int]:
    """RabbitMQ's count is about the delivery: it leaves the headers, so that nobody publishes it again."""
    headers = message.headers
    if _DELIVERY_COUNT not in headers:
        return message, 0
    assert isinstance(headers, dict)
    count = headers.pop(_DELIVERY_COUNT)
    return message, count if isinstance(count, int) else 0


class RabbitConsumer:
    """A consumption that starts again whenever its channel or its link went away."""

    def __init__(self, queue: str, on_delivery: OnDelivery, *, prefetch: int) -> None:
        self.queue = queue
        self._on_delivery = on_delivery
        self._prefetch = prefetch
        self._session: _Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._tag = f"{queue}.{id(self):x}"

    @property
    def is_finished(self) -> bool:
        """Cancelled, with nothing left to settle."""
        return self._task is None and not self._closing and (self._session is None or self._session.in_hand == 0)

    async def start(self, link: Link, revive: Callable[[], Awaitable[Link]]) -> None:
        """Consume; afterwards `revive` gives the link to go on with, topology in place.

        Raises `BrokerUnavailable`; `ConfigurationError` where there is no such queue.
        """
        await self._open(link)
        self._task = asyncio.create_task(self._keep_consuming(revive), name=f"consume {self.queue}")

    async def _open(self, link: Link) -> None:
        if await queue_depth(link, self.queue) is None:
            raise ConfigurationError(f"queue {self.queue!r} does not exist: declare it before consuming")
        channel = await link.open_channel()
        queue = await channel.get_queue(self.queue, ensure=False)
        underlay = await channel.get_underlay_channel()
        session = _Session(link, queue, underlay, self._on_delivery, self._prefetch)
        link.listen(underlay, session)
        try:
            await link.answer(channel.set_qos(self._prefetch))
            # Its own callback is never called: the tap takes the deliveries.
            await link.answer(queue.consume(_unexpected, consumer_tag=self._tag))
        except AMQPChannelError as exc:
            raise ConfigurationError(f"queue {self.queue!r} cannot be consumed: {exc}") from exc
        self._session = session

    async def _keep_consuming(self, revive: Callable[[], Awaitable[Link]]) -> None:
        while True:
            assert self._session is not None
            # Shielded: cancelling this task must not end the session, whose messages can still be settled.
            reason = await asyncio.shield(self._session.ended)
            log.warning("consume_interrupted", extra={"queue": self.queue, "reason": reason})
            await self._reopen(revive)
            log.info("consume_resumed", extra={"queue": self.queue})

    async def _reopen(self, revive: Callable[[], Awaitable[Link]]) -> None:
        for attempt in itertools.count():
            try:
                await self._open(await revive())
            except (BrokerUnavailable, ConfigurationError) as exc:
                log.warning("consume_retry", extra={"queue": self.queue, "reason": str(exc)})
                await asyncio.sleep(backoff_s(attempt))
            else:
                return

    async def cancel(self) -> None:
        """Messages may still come until this returns."""
        session = await self._end()
        if session is None:
            return
        try:
            await session.link.answer(session.consumed.cancel(self._tag))
        except (BrokerUnavailable, AMQPChannelError) as exc:
            log.info("consume_cancel_unanswered", extra={"queue": self.queue, "reason": str(exc)})
            return
        session.when_empty(lambda: self._close_channel(session))

    async def _end(self) -> _Session | None:
        """Consume no more; the session to take leave of, where one is left."""
        task, self._task = self._task, None
        if task is None:
            return None
        await cancelled(task)
        return None if self._session is None or self._session.ended.done() else self._session

    async def leave(self) -> None:
        """A channel that closes gives all it has back in one piece, and its consumption ends with it."""
        session = await self._end()
        if session is not None:
            session.flush()
            await session.link.close_channel(session.consumed.channel)

    def _close_channel(self, session: _Session) -> None:
        if not session.ended.done():
            task = asyncio.create_task(session.link.close_channel(session.consumed.channel))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def finish(self) -> None:
        """Cancel, and tell the broker what is settled; the link can be closed then."""
        await self.cancel()
        if self._session is not None:
            self._session.flush()
        await asyncio.gather(*self._closing)


async def _unexpected(message: object) -> None:
    log.error("delivery_untapped", extra={"kind": type(message).__name__})
