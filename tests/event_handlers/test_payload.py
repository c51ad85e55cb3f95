from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dualrun.contracts import Parameter, ServedTask, typed_json
from dualrun.errors import ConfigurationError
from event_handlers import Context, InvalidPayload
from event_handlers.payload import model_of
from gateway.core.arguments import ArgumentChecker


class Line(msgspec.Struct):
    sku: str
    price: Decimal


class Order(msgspec.Struct, rename="camel"):
    order_id: int
    lines: list[Line] = []


@dataclasses.dataclass
class Address:
    street: str
    since: date | None = None


async def plain(order_id: int, email: str, notify: bool = True) -> None: ...
async def typed(
    at: datetime, key: UUID, price: Decimal, raw: bytes, ratio: float, kind: Literal["a", "b"], tags: list[str], line: Line | None = None
) -> None: ...
async def with_context(ctx: Context, x: int) -> None: ...
async def with_optional_context(x: int, *, ctx: Context | None = None) -> None: ...
async def whole_struct(payload: Order, ctx: Context) -> None: ...
async def whole_dataclass(payload: Address) -> None: ...
async def untyped(x, y=None) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001
async def nothing() -> None: ...


SHARED: list[int] = []


async def with_mutable(x: list[int] = SHARED) -> None: ...


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aZ0_ é", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aZ0_ é", max_size=8), inner, max_size=3),
    max_leaves=5,
)


def gateway_takes(function: Callable[..., object], payload: dict[str, Any]) -> None:
    """Raises `InvalidArguments` where the gateway would refuse it."""
    model = model_of(function)
    ArgumentChecker().check(ServedTask(task="t", parameters=model.parameters, schema=model.schema), (), payload)


TEXT = st.text("aZ0_ é€", max_size=8)


def test_the_signature_is_the_payload() -> None:
    model = model_of(plain)
    assert model.parameters == (Parameter(name="order_id"), Parameter(name="email"), Parameter(name="notify", required=False))
    assert model.arguments_of({"order_id": 1, "email": "a@b.c"}) == {"order_id": 1, "email": "a@b.c", "notify": True}


@settings(max_examples=150)
@given(
    at=st.datetimes(timezones=st.just(UTC)),
    key=st.uuids(),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    raw=st.binary(max_size=8),
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    kind=st.sampled_from(["a", "b"]),
    tags=st.lists(TEXT, max_size=3),
)
def test_typed_values_arrive_as_the_caller_had_them(**values: object) -> None:
    model = model_of(typed)
    wire = typed_json.encode(values)
    assert isinstance(wire, dict)
    gateway_takes(typed, wire)
    assert model.arguments_of(wire) == {**values, "line": None}


def test_values_written_as_ordinary_json_are_taken_too() -> None:
    wire: dict[str, Any] = {"at": "2026-01-02T03:04:05Z", "key": "00000000-0000-0000-0000-000000000001", "price": "1.10", "raw": "YQ=="}
    wire |= {"ratio": 1, "kind": "a", "tags": [], "line": {"sku": "x", "price": "2.50"}}
    model = model_of(typed)
    Draft202012Validator(model.schema).validate(wire)
    arguments = model.arguments_of(wire)
    assert arguments["at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert arguments["raw"] == b"a"
    assert arguments["line"] == Line("x", Decimal("2.50"))


@settings(max_examples=300)
@given(st.sampled_from([plain, typed, whole_struct, whole_dataclass, nothing]), st.data())
def test_what_the_schema_refuses_the_handler_refuses(function: Callable[..., object], data: st.DataObject) -> None:
    model = model_of(function)
    names = sorted(model.fields) or ["x"]
    payload = data.draw(st.dictionaries(st.sampled_from([*names, "other"]), JSON, max_size=4))
    try:
        model.arguments_of(payload)
    except InvalidPayload:
        return
    Draft202012Validator(model.schema).validate(payload)


TYPES: list[Any] = [
    int, float, int | float, str, bool, bytes, datetime, date, time, Decimal, UUID, Decimal | None, str | None, list[datetime],
    dict[str, Decimal], tuple[int, UUID], Line, Line | None, list[Line], Literal["a", 1], int | UUID | None, Any, Address,
]  # fmt: skip
LIKELY = JSON | st.sampled_from(
    ["1.5", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05Z", "03:04:05", "YQ==", "00000000-0000-0000-0000-000000000001", "a"]
)
PYTHON = st.datetimes() | st.dates() | st.times() | st.decimals(allow_nan=False) | st.uuids() | st.binary(max_size=4)
WIRE = st.recursive(
    LIKELY | PYTHON.map(typed_json.encode),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.fixed_dictionaries({"sku": inner, "price": inner})
        | st.fixed_dictionaries({"street": inner}, optional={"since": inner})
    ),
    max_leaves=4,
)


@settings(max_examples=600)
@given(st.sampled_from(TYPES), WIRE)
def test_what_the_gateway_refuses_the_handler_refuses(annotation: Any, value: Any) -> None:
    # A float is also made of a decimal object, by msgspec's own kindness: no schema says so.
    assume(not (annotation in (float, int | float) and isinstance(value, dict) and value.get("__type__") == "decimal"))

    async def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    try:
        model_of(function).arguments_of({"x": value})
    except InvalidPayload:
        return
    gateway_takes(function, {"x": value})


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["order_id", "email", "notify", "other"]), JSON, max_size=4))
def test_where_types_are_plain_schema_and_handler_agree(payload: dict[str, Any]) -> None:
    model = model_of(plain)
    is_valid = Draft202012Validator(model.schema).is_valid(payload)
    try:
        model.arguments_of(payload)
    except InvalidPayload:
        assert not is_valid
    else:
        assert is_valid


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({"order_id": "1", "email": "a"}, r"Expected `int`, got `str` - at `\$\.order_id`"),
        ({"email": "a"}, "missing required field `order_id`"),
        ({"order_id": 1, "email": "a", "emial": "b"}, "unknown field emial: known are email, notify, order_id"),
        ({"order_id": 1, "email": {"__type__": "pickle", "__value__": ""}}, "unknown type 'pickle'"),
    ],
)
def test_a_refusal_says_where_and_what_would_be_right(payload: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidPayload, match=says):
        model_of(plain).arguments_of(payload)


def test_a_payload_nested_beyond_reason_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidPayload):
        model_of(untyped).arguments_of({"x": deep})


@pytest.mark.parametrize("function", [with_context, with_optional_context])
def test_the_context_is_no_part_of_the_payload(function: Callable[..., object]) -> None:
    model = model_of(function)
    assert [parameter.name for parameter in model.parameters] == ["x"]
    assert model.context_name == "ctx"
    with pytest.raises(InvalidPayload):
        model.arguments_of({"x": 1, "ctx": {}})


def test_a_struct_takes_the_whole_payload() -> None:
    model = model_of(whole_struct)
    assert model.arguments_of({"orderId": 1, "lines": [{"sku": "a", "price": "1"}]}) == {"payload": Order(1, [Line("a", Decimal(1))])}
    assert [(parameter.name, parameter.required) for parameter in model.parameters] == [("orderId", True), ("lines", False)]
    with pytest.raises(InvalidPayload, match="unknown field order_id"):
        model.arguments_of({"order_id": 1})


def test_a_dataclass_takes_the_whole_payload_and_refuses_unknown_fields() -> None:
    model = model_of(whole_dataclass)
    assert model.arguments_of({"street": "x", "since": "2026-01-02"}) == {"payload": Address("x", date(2026, 1, 2))}
    with pytest.raises(InvalidPayload, match="unknown field town"):
        model.arguments_of({"street": "x", "town": "y"})


@pytest.mark.parametrize("function", [plain, typed, with_context, whole_struct, whole_dataclass, untyped, nothing, with_mutable])
def test_every_schema_is_complete_in_itself(function: Callable[..., object]) -> None:
    schema = model_of(function).schema
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert isinstance(schema["properties"], dict)
    assert isinstance(schema["required"], list)
    Draft202012Validator(schema).is_valid({})


def test_an_unannotated_parameter_takes_anything() -> None:
    assert model_of(untyped).arguments_of({"x": [1, {"a": None}]}) == {"x": [1, {"a": None}], "y": None}


def test_a_mutable_default_is_the_one_a_direct_call_uses() -> None:
    assert model_of(with_mutable).arguments_of({})["x"] is SHARED


async def positional(x: int, /) -> None: ...
async def many(*xs: int) -> None: ...
async def any_name(**xs: int) -> None: ...
async def two_contexts(a: Context, b: Context) -> None: ...
async def no_json(x: type[int]) -> None: ...
async def unknown_name(x: NotThere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("function", [positional, many, any_name, two_contexts, no_json, unknown_name])
def test_a_signature_no_payload_can_fill_is_refused_at_import(function: Callable[..., object]) -> None:
    with pytest.raises(ConfigurationError, match=function.__name__):
        model_of(function)
