"""Reading a RabbitMQ stream to its present end.

A consumer of a stream is never told that nothing more is there. So a marker is written first: everything confirmed before it stands
before it. Source: https://www.rabbitmq.com/docs/streams
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from aio_pika.exceptions import AMQPChannelError

from dualrun.broker.amqp_frame import ack_frame, parse_deliver, parse_message
from dualrun.broker.port import Message
from dualrun.broker.rabbitmq_link import Link
from dualrun.broker.rabbitmq_tap import ChannelSink
from dualrun.errors import BrokerUnavailable, ConfigurationError

__all__ = ["read_stream"]

_MARKER = "dualrun-end-of-reading"
_OFFSET = "x-stream-offset"
_PREFETCH = 500


class _Arrivals(ChannelSink):
    """What comes in, in order; None once the link is gone."""

    def __init__(self, link: Link) -> None:
        self.queue: asyncio.Queue[tuple[int, Message] | None] = asyncio.Queue()
        link.lost.add_done_callback(self._on_lost)

    def _on_lost(self, _: asyncio.Future[str]) -> None:
        self.queue.put_nowait(None)

    def on_deliver(self, method: bytes, header: bytes, body: bytes) -> None:
        self.queue.put_nowait((parse_deliver(method).tag, parse_message(header, body)))


async def read_stream(
    link: Link, stream: str, since: datetime | None, publish: Callable[[str, str, Message], Awaitable[None]], wait_s: float
) -> AsyncIterator[Message]:
    """As `Broker.read`."""
    marker = uuid.uuid4().hex
    channel = await link.open_underlay_channel()
    arrivals = _Arrivals(link)
    link.listen(channel, arrivals)
    offset: datetime | str = "first" if since is None else since.astimezone(UTC)
    try:
        await link.answer(channel.basic_qos(prefetch_count=_PREFETCH))
        await link.answer(channel.basic_consume(stream, _unexpected, arguments={_OFFSET: offset}))
    except AMQPChannelError as exc:
        raise ConfigurationError(f"stream {stream!r} cannot be read: {exc}") from exc
    await publish("", stream, Message(body=b"", headers={_MARKER: marker}))
    try:
        while True:
            async with asyncio.timeout(wait_s):
                arrival = await arrivals.queue.get()
            if arrival is None:
                raise BrokerUnavailable("the connection was lost")
            tag, message = arrival
            link.write(ack_frame(channel.number, tag, multiple=False))
            mark = message.headers.get(_MARKER)
            if mark == marker:
                return
            if mark is None:
                yield replace(message, headers={name: value for name, value in message.headers.items() if name != _OFFSET})
    except TimeoutError as exc:
        raise BrokerUnavailable(f"nothing more of stream {stream!r} within {wait_s:g} s") from exc
    finally:
        await link.close_channel(channel)


async def _unexpected(message: object) -> None:
    raise AssertionError(f"untapped: {message!r}")
