"""Arguments by position and by name, bound and checked; mistakes point at what the caller wrote."""

from __future__ import annotations

import inspect
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import kombu.utils.json
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import JsonObject, JsonValue, Parameter, ServedTask
from gateway.core.arguments import ArgumentChecker, bind_arguments
from gateway.core.errors import InvalidArguments

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "user_id": {"type": "integer"},
        "email": {"type": "string", "minLength": 3},
        "items": {"type": "array", "items": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}},
        "price": {"type": "string"},
    },
    "required": ["user_id"],
}
SERVED = ServedTask(
    task="shop.buy",
    parameters=(
        Parameter(name="user_id"),
        Parameter(name="email", required=False),
        Parameter(name="items", required=False),
        Parameter(name="price", required=False, keyword_only=True),
    ),
    schema=SCHEMA,
)

parameters = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5).flatmap(
    lambda names: st.tuples(st.just(names), st.integers(0, len(names)), st.integers(0, len(names)))
)


@given(parameters, st.lists(st.integers(), max_size=6), st.dictionaries(st.sampled_from("abcdefg"), st.integers(), max_size=4))
def test_binding_agrees_with_python(shape: tuple[list[str], int, int], args: list[int], kwargs: dict[str, int]) -> None:
    names, keyword_from, optional_from = shape
    signature = inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY if index >= keyword_from else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                # Python wants defaults to follow one another among positional parameters; keyword-only ones are free.
                default=None if index >= optional_from else inspect.Parameter.empty,
            )
            for index, name in enumerate(names)
        ]
    )
    taken = tuple(
        Parameter(name=name, required=index < optional_from, keyword_only=index >= keyword_from) for index, name in enumerate(names)
    )
    try:
        expected: Mapping[str, int] | None = signature.bind(*args, **kwargs).arguments
    except TypeError:
        expected = None
    try:
        bound: Mapping[str, JsonValue] | None = bind_arguments(taken, args, kwargs)
    except InvalidArguments:
        bound = None
    assert bound == expected


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidArguments) as caught:
        bind_arguments((Parameter(name="a"), Parameter(name="b"), Parameter(name="c", keyword_only=True)), [1, 2, 3], {"a": 1, "x/y": 2})
    assert [error.pointer for error in caught.value.errors] == ["/args/2", "/kwargs/x~1y", "/kwargs/a", "/kwargs/c"]


def test_without_known_names_only_keywords_bind() -> None:
    assert bind_arguments(None, [], {"a": 1}) == {"a": 1}
    with pytest.raises(InvalidArguments):
        bind_arguments(None, [1], {})


@pytest.mark.parametrize(
    ("args", "kwargs", "pointers"),
    [
        pytest.param(["x"], {}, ["/args/0"], id="by position"),
        pytest.param([], {"user_id": "x", "email": "ab"}, ["/kwargs/email", "/kwargs/user_id"], id="by name"),
        pytest.param([1, "a@b.c", [{"sku": "1"}, {}]], {}, ["/args/2/1/sku"], id="missing inside"),
        pytest.param([1], {"items": [{"sku": 1}]}, ["/kwargs/items/0/sku"], id="wrong inside"),
        pytest.param([1], {"price": {"__type__": "uuid", "__value__": 3}}, ["/kwargs/price"], id="typed object"),
    ],
)
def test_a_mistake_points_at_what_the_caller_wrote(args: Sequence[JsonValue], kwargs: Mapping[str, JsonValue], pointers: list[str]) -> None:
    with pytest.raises(InvalidArguments) as caught:
        ArgumentChecker().check(SERVED, args, kwargs)
    assert sorted(error.pointer for error in caught.value.errors) == pointers


def test_a_typed_object_counts_as_its_value() -> None:
    for typed in (Decimal("1.20"), uuid.uuid4(), datetime.now(UTC), date(2026, 1, 1), b"raw"):
        value = json.loads(kombu.utils.json.dumps(typed))
        assert set(value) == {"__type__", "__value__"}
        ArgumentChecker().check(SERVED, [1], {"price": value})


def test_a_task_of_unknown_signature_takes_anything() -> None:
    ArgumentChecker().check(ServedTask(task="t"), [1, 2], {"x": 3})


def test_a_new_schema_of_a_task_counts_at_once() -> None:
    checker = ArgumentChecker()
    old = ServedTask(task="t", parameters=(Parameter(name="a"),), schema={"type": "object", "properties": {"a": {"type": "integer"}}})
    new = ServedTask(task="t", parameters=(Parameter(name="a"),), schema={"type": "object", "properties": {"a": {"type": "string"}}})
    checker.check(old, [1], {})
    checker.check(new, ["1"], {})
    with pytest.raises(InvalidArguments):
        checker.check(new, [1], {})
