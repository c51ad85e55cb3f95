"""Python values as kombu writes them in JSON: dates, times, decimals, UUIDs and bytes as `{"__type__": ..., "__value__": ...}`.

Both sides' values must be equal on the wire when they are equal in Python, so this repeats what `kombu.utils.json` of kombu 5.7 does,
without importing it: event workers do not need Celery. `tests/dualrun/contracts/test_typed_json.py` holds one against the other.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from uuid import UUID

import msgspec

from dualrun.contracts.values import JsonValue

__all__ = ["UnreadableValue", "UnserializableValue", "decode", "encode"]

_TYPE, _VALUE = "__type__", "__value__"
# What every JSON library on the way (msgspec, JavaScript aside) keeps exactly.
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_MAX_DEPTH = 200


class UnserializableValue(ValueError):
    """A value JSON cannot carry; the text names its type and where it is, never the value."""


class UnreadableValue(ValueError):
    """A typed object whose type is unknown or whose value does not belong to it."""


def encode(value: object) -> JsonValue:
    """The value as JSON types.

    Beyond what kombu takes, msgspec Structs and dataclasses become objects. Raises `UnserializableValue`, also for NaN, infinities,
    integers beyond 64 bits and lone surrogates, which Python's json writes and strict readers refuse.
    """
    return _encode(value, "$", 0)


def _encode(value: object, path: str, depth: int) -> JsonValue:
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain(value, path)
    if depth > _MAX_DEPTH:
        raise UnserializableValue(f"{path}: nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {_key(key, path): _encode(member, f"{path}.{key}", depth + 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(member, f"{path}[{index}]", depth + 1) for index, member in enumerate(value)]
    if isinstance(value, msgspec.Struct):
        return _encode(msgspec.structs.asdict(value), path, depth + 1)
    if is_dataclass(value) and not isinstance(value, type):
        return _encode({field.name: getattr(value, field.name) for field in fields(value)}, path, depth + 1)
    return _encode_other(value, path, depth)


def _encode_other(value: object, path: str, depth: int) -> JsonValue:
    reduce = getattr(value, "__json__", None)
    if callable(reduce):
        return _encode(reduce(), path, depth + 1)
    # Subclasses: StrEnum, IntEnum and the like go as their base, which is what json does.
    for base, plain in _SUBCLASSED:
        if isinstance(value, base):
            return plain(value, path)
    raise UnserializableValue(f"{path}: {type(value).__name__} is not a JSON value")


def _none(_value: object, _path: str) -> JsonValue:
    return None


def _bool(value: object, _path: str) -> JsonValue:
    return bool(value)


def _int(value: object, path: str) -> JsonValue:
    assert isinstance(value, int)
    if not _INT_MIN <= value <= _INT_MAX:
        raise UnserializableValue(f"{path}: int beyond 64 bits")
    return int(value)


def _float(value: object, path: str) -> JsonValue:
    assert isinstance(value, float)
    if not math.isfinite(value):
        raise UnserializableValue(f"{path}: float that is not finite")
    return float(value)


def _str(value: object, path: str) -> JsonValue:
    assert isinstance(value, str)
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise UnserializableValue(f"{path}: str with a lone surrogate") from exc
    return text


def _bytes(value: object, path: str) -> JsonValue:
    assert isinstance(value, bytes)
    try:
        return _typed("bytes", _str(value.decode(), path))
    except UnicodeDecodeError:
        return _typed("base64", base64.b64encode(value).decode())


def _iso(marker: str) -> Callable[[object, str], JsonValue]:
    def encode_iso(value: object, _path: str) -> JsonValue:
        assert isinstance(value, datetime | date | time)
        return _typed(marker, value.isoformat())

    return encode_iso


def _decimal(value: object, _path: str) -> JsonValue:
    return _typed("decimal", str(value))


def _uuid(value: object, _path: str) -> JsonValue:
    assert isinstance(value, UUID)
    return _typed("uuid", {"hex": value.hex})


def _typed(marker: str, value: JsonValue) -> JsonValue:
    return {_TYPE: marker, _VALUE: value}


def _key(key: object, path: str) -> str:
    # As json.dumps: these four become text, any other key is an error.
    if isinstance(key, str):
        return str(_str(key, path))
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return float.__repr__(key)
    raise UnserializableValue(f"{path}: a key of type {type(key).__name__}")


_PLAIN: Mapping[type, Callable[[object, str], JsonValue]] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    # datetime stands before date, because every datetime is a date.
    datetime: _iso("datetime"),
    date: _iso("date"),
    time: _iso("time"),
    Decimal: _decimal,
    UUID: _uuid,
    bytes: _bytes,
}
_SUBCLASSED = tuple((base, plain) for base, plain in _PLAIN.items() if base not in {type(None), bool})


def decode(value: JsonValue) -> object:
    """The value with kombu's typed objects as the Python values they stand for.

    Raises `UnreadableValue`.
    """
    if isinstance(value, dict):
        if len(value) == 2 and _TYPE in value and _VALUE in value:
            return _decode_typed(value[_TYPE], value[_VALUE])
        return {key: decode(member) for key, member in value.items()}
    if isinstance(value, list):
        return [decode(member) for member in value]
    return value


def _decode_typed(marker: JsonValue, value: JsonValue) -> object:
    decoder = _DECODERS.get(marker) if isinstance(marker, str) else None
    if decoder is None:
        raise UnreadableValue(f"unknown type {marker!r}, should be one of {', '.join(sorted(_DECODERS))}")
    if marker == "uuid" and isinstance(value, dict):
        value = value.get("hex")
    if not isinstance(value, str):
        raise UnreadableValue(f"the value of a {marker} should be a string")
    try:
        return decoder(value)
    except (ValueError, InvalidOperation, binascii.Error) as exc:
        raise UnreadableValue(f"not a {marker}") from exc


_DECODERS: Mapping[str, Callable[[str], object]] = {
    "datetime": datetime.fromisoformat,
    "date": lambda text: datetime.fromisoformat(text).date(),
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": str.encode,
    "base64": base64.b64decode,
}
