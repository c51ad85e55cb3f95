"""The frames of the hot path, taken past aiormq.

aiormq hands each frame through a lock, two queues and a task. Deliveries, returns and confirms come by the thousand, so
`FrameTap` takes them out of the byte stream before aiormq reads it; handshake, heartbeats, channels and declarations stay aiormq's.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from contextvars import ContextVar
from typing import Any

from aiormq.connection import SSLContextProvider, TransportFactory
from yarl import URL

from dualrun.broker.amqp_frame import BODY, HEADER, HEARTBEAT_FRAME, METHOD, body_size

__all__ = ["ChannelSink", "FrameTap", "TappedTransport"]

_FRAME = struct.Struct(">BHI")
_METHOD_ID = struct.Struct(">I")
_CONFIRM = struct.Struct(">QB")
_DELIVER, _RETURN, _ACK, _NACK = (60 << 16 | method for method in (60, 50, 80, 120))

_IS_TAPPED: ContextVar[bool] = ContextVar("the connection is tapped", default=False)
"""True for the tasks in which aiormq runs a tapped connection."""


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


class TappedTransport(TransportFactory):
    """Connects as aiormq would, with a tap for the reader."""

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
        # Only now: what the transport calls, and with it whoever takes messages, runs in the context it was made in.
        _IS_TAPPED.set(True)
        self.writer = asyncio.StreamWriter(transport, protocol, self.tap, self._loop)
        return self.tap, self.writer


def _is_news(record: logging.LogRecord) -> bool:
    """A traceback from aiormq is the end of a connection; of a tapped one, `Link.lost` tells the reason."""
    return not (record.exc_info and _IS_TAPPED.get())


logging.getLogger("aiormq.connection").addFilter(_is_news)
