"""AMQP 0.9.1 field tables: how headers travel.

Own code because pamqp writes floats in single precision, cuts keys at 128 bytes and refuses bytes, tuples and mappings,
and because headers are decoded once a message. Types as RabbitMQ reads them: https://www.rabbitmq.com/amqp-0-9-1-errata.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from dualrun.broker.port import HeaderValue

__all__ = ["decode_table", "encode_short_string", "encode_table"]

_LENGTH = struct.Struct(">I")
_INT32 = struct.Struct(">ci")
_INT64 = struct.Struct(">cq")
_DOUBLE = struct.Struct(">cd")
_SIZED = struct.Struct(">cI")
_MAX_SHORT_STRING = 255


def encode_short_string(text: str) -> bytes:
    """A length octet and UTF-8. Raises `ValueError` above 255 bytes."""
    encoded = text.encode()
    if len(encoded) > _MAX_SHORT_STRING:
        raise ValueError(f"longer than {_MAX_SHORT_STRING} bytes: {text[:40]!r}...")
    return bytes((len(encoded),)) + encoded


def encode_table(table: Mapping[str, HeaderValue]) -> bytes:
    """A table with its length. Raises `ValueError` for a long key or an integer beyond 64 bits, `TypeError` for other types."""
    parts: list[bytes] = []
    for key, value in table.items():
        parts.append(_encode_key(key))
        parts.append(_encode_value(value))
    encoded = b"".join(parts)
    return _LENGTH.pack(len(encoded)) + encoded


# The same few names, on every message.
_encode_key = lru_cache(maxsize=1024)(encode_short_string)


def _encode_value(value: HeaderValue) -> bytes:
    encoder = _ENCODERS.get(type(value))
    return encoder(value) if encoder is not None else _encode_subtype(value)


def _encode_text(value: str) -> bytes:
    encoded = value.encode()
    return _SIZED.pack(b"S", len(encoded)) + encoded


def _encode_integer(value: int) -> bytes:
    if -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return _INT32.pack(b"I", value)
    if -0x8000_0000_0000_0000 <= value <= 0x7FFF_FFFF_FFFF_FFFF:
        return _INT64.pack(b"l", value)
    raise ValueError(f"a header cannot hold an integer beyond 64 bits: {value}")


def _encode_bytes(value: bytes) -> bytes:
    return _SIZED.pack(b"x", len(value)) + value


def _encode_sequence(value: Sequence[HeaderValue]) -> bytes:
    items = b"".join(map(_encode_value, value))
    return _SIZED.pack(b"A", len(items)) + items


def _encode_mapping(value: Mapping[str, HeaderValue]) -> bytes:
    return b"F" + encode_table(value)


def _encode_subtype(value: HeaderValue) -> bytes:
    """Enumerations, views of mappings and other kin of the plain types."""
    for kind, encoder in _KINDS:
        if isinstance(value, kind):
            return encoder(value)
    raise TypeError(f"a header cannot hold {type(value).__name__}")


_ENCODERS: dict[type, Callable[..., bytes]] = {
    str: _encode_text,
    type(None): lambda _: b"V",
    bool: lambda value: b"t\x01" if value else b"t\x00",
    int: _encode_integer,
    float: lambda value: _DOUBLE.pack(b"d", value),
    bytes: _encode_bytes,
    dict: _encode_mapping,
    list: _encode_sequence,
    tuple: _encode_sequence,
}
_KINDS: tuple[tuple[type, Callable[..., bytes]], ...] = (
    (str, _encode_text),
    (int, _encode_integer),
    (float, _ENCODERS[float]),
    (bytes, _encode_bytes),
    (bytearray, _encode_bytes),
    (Mapping, _encode_mapping),
    (Sequence, _encode_sequence),
)


def decode_table(data: bytes, offset: int = 0) -> tuple[dict[str, HeaderValue], int]:
    """The table that starts at `offset`, and the offset behind it. Timestamps become ISO 8601 text, decimals floats.

    Raises `ValueError` when the bytes are no table.
    """
    try:
        return _decode_table(data, offset)
    except (struct.error, IndexError, KeyError, OverflowError) as exc:
        raise ValueError(f"not a field table: {exc!r}") from exc


def _decode_table(data: bytes, offset: int) -> tuple[dict[str, HeaderValue], int]:
    start, end = _extent(data, offset)
    table: dict[str, HeaderValue] = {}
    while start < end:
        key_start = start + 1
        key_end = key_start + data[start]
        key = data[key_start:key_end].decode()
        # Nearly all are text: a call for each would double what a delivery costs here.
        text_start = key_end + 5
        if data[key_end] == _TEXT and (text_end := text_start + _LENGTH.unpack_from(data, key_end + 1)[0]) <= end:
            try:
                table[key] = data[text_start:text_end].decode()
            except UnicodeDecodeError:
                table[key] = data[text_start:text_end]
            start = text_end
        else:
            table[key], start = _DECODERS[data[key_end]](data, key_end + 1)
    return table, end


def _extent(data: bytes, offset: int) -> tuple[int, int]:
    start = offset + 4
    end: int = start + _LENGTH.unpack_from(data, offset)[0]
    if end > len(data):
        raise IndexError("the length exceeds the data")
    return start, end


def _decode_array(data: bytes, offset: int) -> tuple[HeaderValue, int]:
    start, end = _extent(data, offset)
    items: list[HeaderValue] = []
    while start < end:
        item, start = _DECODERS[data[start]](data, start + 1)
        items.append(item)
    return items, end


def _decode_text(data: bytes, offset: int) -> tuple[HeaderValue, int]:
    start, end = _extent(data, offset)
    try:
        return data[start:end].decode(), end
    except UnicodeDecodeError:
        # Java clients send byte strings under this type.
        return data[start:end], end


def _decode_bytes(data: bytes, offset: int) -> tuple[HeaderValue, int]:
    start, end = _extent(data, offset)
    return data[start:end], end


def _decode_timestamp(data: bytes, offset: int) -> tuple[HeaderValue, int]:
    seconds: int = struct.unpack_from(">Q", data, offset)[0]
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(), offset + 8
    except (OverflowError, ValueError, OSError):
        return seconds, offset + 8


def _decode_decimal(data: bytes, offset: int) -> tuple[HeaderValue, int]:
    scale, mantissa = struct.unpack_from(">Bi", data, offset)
    return float(mantissa / 10**scale), offset + 5


_Decoder = Callable[[bytes, int], "tuple[HeaderValue, int]"]


def _number(layout: str) -> _Decoder:
    packed = struct.Struct(layout)
    size = packed.size

    def decode(data: bytes, offset: int) -> tuple[HeaderValue, int]:
        return packed.unpack_from(data, offset)[0], offset + size

    return decode


_TEXT = ord("S")
_DECODERS: dict[int, _Decoder] = {
    _TEXT: _decode_text,
    ord("V"): lambda _, offset: (None, offset),
    ord("t"): lambda data, offset: (data[offset] != 0, offset + 1),
    ord("I"): _number(">i"),
    ord("l"): _number(">q"),
    ord("L"): _number(">q"),
    ord("b"): _number(">b"),
    ord("B"): _number(">B"),
    ord("s"): _number(">h"),
    ord("u"): _number(">H"),
    ord("i"): _number(">I"),
    ord("d"): _number(">d"),
    ord("f"): _number(">f"),
    ord("D"): _decode_decimal,
    ord("T"): _decode_timestamp,
    ord("x"): _decode_bytes,
    ord("A"): _decode_array,
    ord("F"): _decode_table,
}
