"""One connection to RabbitMQ: aio-pika's, with its hot path tapped.

Channels to declare, consume and publish on are aio-pika's. Publishes and acks are written, and deliveries and confirms taken, beside it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aio_pika
import aiormq.abc
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPChannelError, AMQPError
from yarl import URL

from dualrun.broker.rabbitmq_tap import ChannelSink, FrameTap, TappedTransport
from dualrun.errors import BrokerUnavailable

__all__ = ["Link", "backoff_s"]

log = logging.getLogger(__name__)
T = TypeVar("T")

_HEARTBEAT_S = 10


class _TappedConnection(aio_pika.Connection):
    """aio-pika puts the keywords of `connect` into the URL, where a transport cannot go; `kwargs` are what it gives to aiormq."""

    def __init__(self, url: URL, **kwargs: Any) -> None:  # noqa: ANN401 - aio-pika's signature
        super().__init__(url, **kwargs)
        self.tapped = TappedTransport()
        self.kwargs["transport_factory"] = self.tapped

    async def connect(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aio-pika's signature
        try:
            await super().connect(timeout)
        except BaseException:
            # Given up between the handshake and here, the socket has no owner; and unclosed, this starts a task when collected.
            if self.tapped.writer is not None:
                self.tapped.writer.transport.abort()
            await self.close()
            raise


class Link:
    """A live connection. Once lost it stays lost; the next one is another object."""

    def __init__(self, connection: _TappedConnection, *, reply_wait_s: float) -> None:
        assert connection.transport is not None
        assert connection.tapped.writer is not None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, once the connection is gone."""
        self._connection = connection
        self._underlay = connection.transport.connection
        self._tap: FrameTap = connection.tapped.tap
        self._writer = connection.tapped.writer
        self._reply_wait_s = reply_wait_s
        self._topology_channels: list[AbstractChannel] = []
        # aiormq gives two channels that are opened at one time the same number, and RabbitMQ then ends the connection.
        self._opening = asyncio.Lock()
        self.frame_max: int = self._underlay.connection_tune.frame_max or 131_072
        self._underlay.closing.add_done_callback(self._on_closing)

    @classmethod
    async def open(cls, url: str, *, name: str, wait_s: float, reply_wait_s: float) -> Link:
        """Raises `BrokerUnavailable` when there is no connection within `wait_s`."""
        target = URL(url)
        if "heartbeat" not in target.query:
            target = target.update_query(heartbeat=str(_HEARTBEAT_S))
        connecting = aio_pika.connect(target, connection_class=_TappedConnection, client_properties={"connection_name": name})
        return cls(await answer(connecting, wait_s), reply_wait_s=reply_wait_s)

    def _on_closing(self, closing: asyncio.Future[Any]) -> None:
        self._tap.sinks.clear()
        if not self.lost.done():
            cause = None if closing.cancelled() else closing.exception()
            self.lost.set_result(str(cause or "") or "the connection was closed")

    @property
    def is_up(self) -> bool:
        """Whether frames can still be written."""
        return not self.lost.done() and not self._writer.is_closing()

    def silent_s(self) -> float:
        """How long the broker has sent nothing, not even a heartbeat."""
        return asyncio.get_running_loop().time() - self._tap.fed_at_s

    def write(self, frames: bytes) -> None:
        """Send whole frames, in one piece."""
        self._writer.write(frames)

    async def open_channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Raises `BrokerUnavailable`."""

        async def opened() -> AbstractChannel:
            async with self._opening:
                return await self._connection.channel(publisher_confirms=confirms)

        return await self.answer(opened())

    @asynccontextmanager
    async def topology_channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel to declare on, kept for the next who asks unless it fails. Raises `BrokerUnavailable`.

        aio-pika keeps some 4 KB of every channel, closed or not, until the connection goes.
        """
        channel = self._topology_channels.pop() if self._topology_channels else await self.open_channel()
        yield channel
        self._topology_channels.append(channel)

    async def open_underlay_channel(self) -> aiormq.abc.AbstractChannel:
        """A channel to throw away, which leaves nothing behind. Raises `BrokerUnavailable`."""
        async with self._opening:
            return await self.answer(self._underlay.channel(publisher_confirms=False))

    def listen(self, channel: aiormq.abc.AbstractChannel, sink: ChannelSink) -> None:
        """From now on deliveries, returns and confirms of `channel` go to `sink`."""
        self._tap.sinks[channel.number] = sink

    async def close_channel(self, channel: AbstractChannel | aiormq.abc.AbstractChannel) -> None:
        """Give a channel back; never raises a `BrokerError`."""
        self._tap.sinks.pop(channel.number or 0, None)
        try:
            await answer(channel.close(), self._reply_wait_s)
        except BrokerUnavailable as exc:
            log.info("channel_close_unanswered", extra={"reason": str(exc)})

    async def answer(self, reply: Awaitable[T]) -> T:
        """The reply of the broker, waited for within bounds. Raises `BrokerUnavailable`, and aio-pika's channel errors as they are."""
        return await answer(reply, self._reply_wait_s)

    def abort(self) -> None:
        """Cut the connection at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Leave in good order; never raises a `BrokerError`."""
        try:
            await answer(self._connection.close(), self._reply_wait_s)
        except BrokerUnavailable as exc:
            log.info("link_close_unanswered", extra={"reason": str(exc)})
            self.abort()


def backoff_s(attempt: int) -> float:
    """How long to wait after a failed attempt, the first being 0: 0.1 s doubling up to 5 s, the upper half of it by chance."""
    return float(min(5.0, 0.1 * 2 ** min(attempt, 10))) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads reconnects, hides nothing


async def answer(reply: Awaitable[T], wait_s: float) -> T:
    """As `Link.answer`."""
    try:
        async with asyncio.timeout(wait_s):
            return await reply
    except AMQPChannelError:
        raise
    except TimeoutError as exc:
        raise BrokerUnavailable(f"no answer within {wait_s:g} s") from exc
    except asyncio.CancelledError as exc:
        # aiormq ends the calls of a lost connection with CancelledError, although nobody cancelled this task.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailable("the connection was lost") from exc
    except (AMQPError, OSError, RuntimeError) as exc:
        # aiormq raises a bare RuntimeError for a closed connection.
        raise BrokerUnavailable(str(exc) or type(exc).__name__) from exc
    except Exception as exc:
        # And it ends calls that a closing connection overtook with a bare Exception.
        if type(exc) is not Exception:
            raise
        raise BrokerUnavailable("the connection was closed") from exc
