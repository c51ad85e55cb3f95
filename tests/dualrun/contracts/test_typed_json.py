from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import IntEnum, StrEnum
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from dualrun.contracts import typed_json
from dualrun.contracts.typed_json import UnreadableValue, UnserializableValue

kombu_dumps: Callable[[object], str] = kombu_json.dumps
kombu_loads: Callable[[str], object] = kombu_json.loads

TEXT = st.text(st.sampled_from('aZ0_ \n\0"\\é€😀\u2028'))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates()
    | st.times()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
KEYS = TEXT | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner), max_leaves=20)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Reduced:
    def __json__(self) -> object:
        return {"at": date(2026, 1, 2)}


@settings(max_examples=300)
@given(VALUES)
def test_a_value_is_written_as_kombu_writes_it(value: object) -> None:
    assert typed_json.encode(value) == json.loads(kombu_dumps(value))


@pytest.mark.parametrize("value", [Colour.RED, Level.HIGH, Reduced(), [Colour.RED], {Colour.RED: Level.HIGH}, (1, 2)])
def test_subclasses_and_json_hooks_are_written_as_kombu_writes_them(value: object) -> None:
    assert typed_json.encode(value) == json.loads(kombu_dumps(value))


@settings(max_examples=300)
@given(VALUES)
def test_what_was_written_passes_the_wire(value: object) -> None:
    encoded = typed_json.encode(value)
    assert msgspec.json.decode(msgspec.json.encode(encoded)) == encoded


@settings(max_examples=200)
@given(VALUES)
def test_reading_gives_what_kombu_reads(value: object) -> None:
    assert typed_json.decode(typed_json.encode(value)) == kombu_loads(kombu_dumps(value))


@dataclass
class Line:
    sku: str
    price: Decimal


class Order(msgspec.Struct):
    id: UUID
    lines: list[Line]


def test_structs_and_dataclasses_become_objects() -> None:
    order = Order(UUID(int=1), [Line("a", Decimal("1.10"))])
    assert typed_json.encode(order) == {
        "id": {"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000001"}},
        "lines": [{"sku": "a", "price": {"__type__": "decimal", "__value__": "1.10"}}],
    }


def _endless() -> object:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, float("nan"), float("inf"), 2**64, -(2**63) - 1, "\ud800", {("a",): 1}, [bytearray(b"x")], _endless(), int]
)
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    with pytest.raises(UnserializableValue):
        typed_json.encode(value)


def test_the_refusal_says_where() -> None:
    with pytest.raises(UnserializableValue, match=r"\$\.items\[1\]: set"):
        typed_json.encode({"items": [1, {2}]})


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "pickle", "__value__": "x"},
        {"__type__": "decimal", "__value__": "one"},
        {"__type__": "datetime", "__value__": 5},
        {"__type__": "uuid", "__value__": {}},
        {"__type__": ["uuid"], "__value__": "x"},
        {"__type__": "base64", "__value__": "x"},
    ],
)
def test_typed_objects_that_mean_nothing_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(UnreadableValue):
        typed_json.decode(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [datetime(2026, 1, 2, 3, 4), time(1, 2), b"\xff\x00"])  # noqa: DTZ001
def test_naive_times_and_raw_bytes_come_back(value: object) -> None:
    assert typed_json.decode(typed_json.encode(value)) == value
