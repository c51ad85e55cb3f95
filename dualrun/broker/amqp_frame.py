"""The AMQP 0.9.1 frames of the hot path: publish, deliver, return, confirm, settle. Everything else is left to aiormq.

Own code because pamqp builds an object per frame and encodes it field by field; here a publish costs a few microseconds.
Layouts: https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, sections 2.3.5 and 4.2.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from dualrun.broker.amqp_table import decode_table, encode_short_string, encode_table
from dualrun.broker.port import HeaderValue, Message

__all__ = [
    "BODY",
    "FRAME_OVERHEAD",
    "HEADER",
    "HEARTBEAT_FRAME",
    "METHOD",
    "REPLY_ADDRESS",
    "Content",
    "DeliverArguments",
    "ReturnArguments",
    "ack_frame",
    "body_size",
    "encode_content",
    "nack_frame",
    "parse_deliver",
    "parse_message",
    "parse_return",
    "publish_frames",
    "publish_method",
    "reject_frame",
]

METHOD, HEADER, BODY = 1, 2, 3
FRAME_OVERHEAD = 8
"""Seven octets before a payload, one behind it."""
HEARTBEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"

REPLY_ADDRESS = "amq.rabbitmq.reply-to."
"""How an address for replies begins; what follows names a channel. Source: https://www.rabbitmq.com/docs/direct-reply-to"""

_END = b"\xce"
_FRAME = struct.Struct(">BHI")
_CONTENT = struct.Struct(">HHQH")
_SETTLE = struct.Struct(">BHIHHQBB")
_BASIC = 60
_PERSISTENT = 2
_MANDATORY = 1

_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS, _DELIVERY_MODE, _PRIORITY = 1 << 15, 1 << 14, 1 << 13, 1 << 12, 1 << 11
_CORRELATION_ID, _REPLY_TO, _EXPIRATION, _MESSAGE_ID = 1 << 10, 1 << 9, 1 << 8, 1 << 7


_MOST_HEADER = 131_072 - FRAME_OVERHEAD
"""A content header is one frame, and this is RabbitMQ's largest by default. A larger one would cost the connection."""
_MOST_EXPIRATION_MS = 2**32 - 1


@lru_cache(maxsize=4096)
def publish_method(exchange: str, routing_key: str) -> bytes:
    """The payload of a Basic.Publish, mandatory unless it is a reply. Raises `ValueError` for a name above 255 bytes."""
    # RabbitMQ returns every mandatory reply as unroutable, delivered or not: it goes through no queue.
    flags = 0 if exchange == "" and routing_key.startswith(REPLY_ADDRESS) else _MANDATORY
    return struct.pack(">HHH", _BASIC, 40, 0) + encode_short_string(exchange) + encode_short_string(routing_key) + bytes((flags,))


class Content(NamedTuple):
    """A message without a channel: the payload of its header frame, and its body."""

    header: bytes
    body: bytes


@lru_cache(maxsize=256)
def _content_kind(content_type: str, content_encoding: str) -> bytes:
    return encode_short_string(content_type) + encode_short_string(content_encoding)


def encode_content(message: Message) -> Content:
    """Raises `ValueError` or `TypeError` for what AMQP cannot carry."""
    flags = _CONTENT_TYPE | _CONTENT_ENCODING | _DELIVERY_MODE
    parts = [_content_kind(message.content_type, message.content_encoding)]
    if message.headers:
        flags |= _HEADERS
        parts.append(encode_table(message.headers))
    parts.append(bytes((_PERSISTENT,)))
    if message.priority is not None:
        flags |= _PRIORITY
        parts.append(bytes((message.priority,)))
    for flag, text in (
        (_CORRELATION_ID, message.correlation_id),
        (_REPLY_TO, message.reply_to),
        (_EXPIRATION, _expiration(message.expiration_ms)),
        (_MESSAGE_ID, message.message_id),
    ):
        if text is not None:
            flags |= flag
            parts.append(encode_short_string(text))
    header = _CONTENT.pack(_BASIC, 0, len(message.body), flags) + b"".join(parts)
    if len(header) > _MOST_HEADER:
        raise ValueError(f"headers of {len(header)} bytes; AMQP takes {_MOST_HEADER} with all properties")
    return Content(header, message.body)


def _expiration(expiration_ms: int | None) -> str | None:
    # RabbitMQ closes the channel, under everybody's messages, for a value it does not like.
    if expiration_ms is not None and not 0 <= expiration_ms <= _MOST_EXPIRATION_MS:
        raise ValueError(f"an expiration must be between 0 and {_MOST_EXPIRATION_MS} ms, not {expiration_ms}")
    return None if expiration_ms is None else str(expiration_ms)


def publish_frames(channel: int, method: bytes, content: Content, frame_max: int) -> bytes:
    """The method, the header and the body frames; an empty body has none."""
    header, body = content
    size = len(body)
    most = frame_max - FRAME_OVERHEAD
    parts = [_FRAME.pack(METHOD, channel, len(method)), method, _END, _FRAME.pack(HEADER, channel, len(header)), header, _END]
    if 0 < size <= most:
        parts += (_FRAME.pack(BODY, channel, size), body, _END)
    else:
        for offset in range(0, size, most):
            chunk = body[offset : offset + most]
            parts += (_FRAME.pack(BODY, channel, len(chunk)), chunk, _END)
    return b"".join(parts)


def ack_frame(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Basic.Ack."""
    return _SETTLE.pack(METHOD, channel, 13, _BASIC, 80, tag, multiple, 0xCE)


def nack_frame(channel: int, tag: int) -> bytes:
    """Basic.Nack that puts one message back."""
    return _SETTLE.pack(METHOD, channel, 13, _BASIC, 120, tag, 0b10, 0xCE)


def reject_frame(channel: int, tag: int) -> bytes:
    """Basic.Reject that does not put the message back."""
    return _SETTLE.pack(METHOD, channel, 13, _BASIC, 90, tag, 0, 0xCE)


class DeliverArguments(NamedTuple):
    """Of Basic.Deliver; the consumer tag is left out, as each consumer has a channel of its own."""

    tag: int
    redelivered: bool
    exchange: str
    routing_key: str


class ReturnArguments(NamedTuple):
    """Of Basic.Return."""

    exchange: str
    routing_key: str


def parse_deliver(method: bytes) -> DeliverArguments:
    """Read the payload of a Basic.Deliver frame."""
    offset = 5 + method[4]
    tag: int = struct.unpack_from(">Q", method, offset)[0]
    exchange, after = _short_string(method, offset + 9)
    return DeliverArguments(tag, method[offset + 8] & 1 == 1, exchange, _short_string(method, after)[0])


def parse_return(method: bytes) -> ReturnArguments:
    """Read the payload of a Basic.Return frame."""
    after_reason = 7 + method[6]
    exchange, after = _short_string(method, after_reason)
    return ReturnArguments(exchange, _short_string(method, after)[0])


def body_size(header: bytes) -> int:
    """How many body octets follow a content header."""
    size: int = struct.unpack_from(">Q", header, 4)[0]
    return size


def parse_message(header: bytes, body: bytes) -> Message:
    """The message of a content header and its body. Raises `ValueError` when a property cannot be read."""
    flags: int = struct.unpack_from(">H", header, 12)[0]
    offset = 14
    texts: dict[int, str] = {}
    headers: dict[str, HeaderValue] = {}
    priority = None
    for flag in (_CONTENT_TYPE, _CONTENT_ENCODING):
        if flags & flag:
            texts[flag], offset = _short_string(header, offset)
    if flags & _HEADERS:
        headers, offset = decode_table(header, offset)
    if flags & _DELIVERY_MODE:
        offset += 1
    if flags & _PRIORITY:
        priority = header[offset]
        offset += 1
    for flag in (_CORRELATION_ID, _REPLY_TO, _EXPIRATION, _MESSAGE_ID):
        if flags & flag:
            texts[flag], offset = _short_string(header, offset)
    expiration = texts.get(_EXPIRATION)
    return Message(
        body=body,
        headers=headers,
        content_type=texts.get(_CONTENT_TYPE, ""),
        content_encoding=texts.get(_CONTENT_ENCODING, ""),
        message_id=texts.get(_MESSAGE_ID),
        correlation_id=texts.get(_CORRELATION_ID),
        reply_to=texts.get(_REPLY_TO),
        priority=priority,
        expiration_ms=None if expiration is None else int(expiration),
    )


def _short_string(data: bytes, offset: int) -> tuple[str, int]:
    start = offset + 1
    end = start + data[offset]
    return data[start:end].decode(), end
