"""One connection to RabbitMQ: aiormq runs the protocol, the frames of the hot path go past it.

aiormq hands each frame through a lock, two queues and a task. Deliveries, returns and confirms come by the thousand, so
`FrameTap` takes them out of the byte stream before aiormq reads it; handshake, heartbeats, channels and declarations stay aiormq's.
"""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from collections.abc import Awaitable
from typing import Any, TypeVar

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.connection import SSLContextProvider, TransportFactory
from aiormq.exceptions import AMQPError
from yarl import URL

from dualrun.broker.amqp_frame import BODY, HEADER, HEARTBEAT_FRAME, METHOD, body_size
from dualrun.errors import BrokerUnavailable

__all__ = ["ChannelSink", "FrameTap", "Link", "backoff_s"]

log = logging.getLogger(__name__)
T = TypeVar("T")

_HEARTBEAT_S = 10
_FRAME = struct.Struct(">BHI")
_METHOD_ID = struct.Struct(">I")
_CONFIRM = struct.Struct(">QB")
_DELIVER, _RETURN, _ACK, _NACK = (60 << 16 | method for method in (60, 50, 80, 120))


class ChannelSink:
    """Takes the tapped frames of one channel, as payloads, in the event loop. Its methods must not raise."""

    def on_deliver(self, method: bytes, header: bytes, body: bytes) -> None:
        """A message to consume."""

    def on_return(self, method: bytes, header: bytes, body: bytes) -> None:
        """A message nobody takes; its confirm follows."""

    def on_confirm(self, tag: int, *, multiple: bool, accepted: bool) -> None:
        """The broker's word on the message of `tag`, or on all up to it."""


class _Content:
    """A message whose frames are still coming in."""

    __slots__ = ("header", "left", "method", "method_id", "parts")

    def __init__(self, method_id: int, method: bytes) -> None:
        self.method_id = method_id
        self.method = method
        self.header = b""
        self.left = -1
        self.parts: list[bytes] = []


class FrameTap(asyncio.StreamReader):
    """The byte stream from the broker; what it does not take, aiormq reads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.sinks: dict[int, ChannelSink] = {}
        self.fed_at_s = loop.time()
        self._clock = loop.time
        self._passed_at_s = self.fed_at_s
        self._rest = b""
        self._contents: dict[int, _Content] = {}
        self._is_amqp: bool | None = None

    def feed_data(self, data: bytes) -> None:  # type: ignore[override] # typeshed says iterable of integers; transports give bytes
        """Take whole frames; keep the beginning of the next for later."""
        self.fed_at_s = self._clock()
        if self._rest:
            data = self._rest + data
        if not self._speaks_amqp(data):
            super().feed_data(data)
            return
        passed: list[bytes] = []
        position = 0
        size = len(data)
        while size - position > 7:
            kind, channel, length = _FRAME.unpack_from(data, position)
            start = position + 7
            end = start + length
            if end >= size:
                break
            if not self._take(kind, channel, data[start:end]):
                passed.append(data[position : end + 1])
            position = end + 1
        self._rest = data[position:]
        self._pass_on(passed)

    def _speaks_amqp(self, data: bytes) -> bool:
        # A broker that refuses our version answers with a protocol header, which is no frame.
        if self._is_amqp is None:
            self._is_amqp = not data.startswith(b"A")
        return self._is_amqp

    def _pass_on(self, passed: list[bytes]) -> None:
        if not passed and self.fed_at_s - self._passed_at_s > 1:
            # A busy broker sends no heartbeats, and aiormq would take silence for a dead connection.
            passed.append(HEARTBEAT_FRAME)
        if passed:
            self._passed_at_s = self.fed_at_s
            super().feed_data(b"".join(passed))

    def _take(self, kind: int, channel: int, payload: bytes) -> bool:
        if kind == METHOD:
            return self._take_method(channel, payload)
        if kind not in {HEADER, BODY}:
            return False
        content = self._contents.get(channel)
        if content is None:
            return False
        if kind == HEADER:
            content.header = payload
            content.left = body_size(payload)
        else:
            content.parts.append(payload)
            content.left -= len(payload)
        if content.left == 0:
            del self._contents[channel]
            self._complete(channel, content)
        return True

    def _take_method(self, channel: int, payload: bytes) -> bool:
        (method_id,) = _METHOD_ID.unpack_from(payload)
        if method_id in {_DELIVER, _RETURN}:
            self._contents[channel] = _Content(method_id, payload)
            return True
        if method_id not in {_ACK, _NACK}:
            return False
        sink = self.sinks.get(channel)
        if sink is not None:
            tag, flags = _CONFIRM.unpack_from(payload, 4)
            sink.on_confirm(tag, multiple=flags & 1 == 1, accepted=method_id == _ACK)
        return True

    def _complete(self, channel: int, content: _Content) -> None:
        sink = self.sinks.get(channel)
        if sink is None:
            return
        parts = content.parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if content.method_id == _DELIVER:
            sink.on_deliver(content.method, content.header, body)
        else:
            sink.on_return(content.method, content.header, body)


class _TappedTransport(TransportFactory):
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.tap = FrameTap(loop)
        self.writer: asyncio.StreamWriter | None = None
        self._loop = loop

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:  # noqa: ANN401 - aiormq's signature
        tls: SSLContextProvider = kwargs.pop("ssl_context_provider")
        context = await tls.get_context() if url.scheme == "amqps" else None
        protocol = asyncio.StreamReaderProtocol(self.tap, loop=self._loop)
        transport, _ = await self._loop.create_connection(lambda: protocol, str(url.host), url.port or 5672, ssl=context, **kwargs)
        self.writer = asyncio.StreamWriter(transport, protocol, self.tap, self._loop)
        return self.tap, self.writer


class Link:
    """A live connection. Once lost it stays lost; the next one is another object."""

    def __init__(self, connection: AbstractConnection, tap: FrameTap, writer: asyncio.StreamWriter, *, reply_wait_s: float) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.frame_max: int = connection.connection_tune.frame_max or 131_072
        self._connection = connection
        self._tap = tap
        self._writer = writer
        self._reply_wait_s = reply_wait_s
        connection.closing.add_done_callback(self._on_closing)

    @classmethod
    async def open(cls, url: str, *, name: str, wait_s: float, reply_wait_s: float) -> Link:
        """Raises `BrokerUnavailable` when there is no connection within `wait_s`."""
        target = URL(url)
        if "heartbeat" not in target.query:
            target = target.update_query(heartbeat=str(_HEARTBEAT_S))
        transport = _TappedTransport()
        connection = aiormq.Connection(target, transport_factory=transport, client_properties={"connection_name": name})
        await answer(connection.connect(), wait_s)
        assert transport.writer is not None
        return cls(connection, transport.tap, transport.writer, reply_wait_s=reply_wait_s)

    def _on_closing(self, closing: asyncio.Future[Any]) -> None:
        if not closing.cancelled():
            closing.exception()
        self._tap.sinks.clear()
        if not self.lost.done():
            self.lost.set_result(None)

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
        return await self.answer(self._connection.channel(publisher_confirms=confirms))

    def listen(self, channel: AbstractChannel, sink: ChannelSink) -> None:
        """From now on deliveries, returns and confirms of `channel` go to `sink`."""
        self._tap.sinks[channel.number] = sink

    async def close_channel(self, channel: AbstractChannel) -> None:
        """Give a channel back; never raises a `BrokerError`."""
        self._tap.sinks.pop(channel.number, None)
        try:
            await answer(channel.close(), self._reply_wait_s)
        except BrokerUnavailable as exc:
            log.info("channel_close_unanswered", extra={"reason": str(exc)})

    async def answer(self, reply: Awaitable[T]) -> T:
        """The reply of the broker, waited for within bounds. Raises `BrokerUnavailable`, and aiormq's channel errors as they are."""
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
    except aiormq.exceptions.AMQPChannelError:
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
