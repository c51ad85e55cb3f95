"""Values: typed differences under canonical paths."""

from __future__ import annotations

import copy

import pytest

from dualrun.contracts import JsonValue
from gateway.comparison import MAX_DIFFERENCES
from gateway.core.comparison import Verdict
from tests.support.comparing import compared, found


@pytest.mark.parametrize(
    ("authority", "shadow", "expected"),
    [
        (1, 2, [("value", "/value")]),
        (1, "1", [("type", "/value")]),
        (1, True, [("type", "/value")]),
        (0, False, [("type", "/value")]),
        (None, 0, [("type", "/value")]),
        (None, {}, [("type", "/value")]),
        ({}, [], [("type", "/value")]),
        ("a", "b", [("value", "/value")]),
        ({"a": 1}, {}, [("missing", "/value/a")]),
        ({}, {"a": None}, [("extra", "/value/a")]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("value", "/value/a/b/[*]/c")]),
        ([1, 2, 3], [3, 2, 1], [("order", "/value")]),
        ([1, 1, 2], [1, 2, 2], [("value", "/value/[*]")]),
        ([1, 2], [1, 2, 3], [("length", "/value"), ("extra", "/value/[*]")]),
        ([1, 2, 3], [3, 1], [("length", "/value"), ("missing", "/value/[*]")]),
        ([True], [1], [("type", "/value/[*]")]),
        ([[1, 2], [3]], [[2, 1], [3]], [("order", "/value/[*]")]),
        ({"items": [{"price": 1}, {"price": 2}]}, {"items": [{"price": 1}, {"price": 3}]}, [("value", "/value/items/[*]/price")]),
    ],
)
def test_a_difference_is_typed_and_placed(authority: JsonValue, shadow: JsonValue, expected: list[tuple[str, str]]) -> None:
    result = compared(authority, shadow)
    assert found(result) == expected
    assert result[0] is Verdict.DIFFERENT_VALUE


@pytest.mark.parametrize(
    ("authority", "shadow"),
    [(1, 1.0), ([1], [1.0]), ({"a": 1, "b": 2}, {"b": 2.0, "a": 1.0}), (2**60, float(2**60)), (None, None), ((1, 2), [1, 2]), (0.0, -0.0)],
)
def test_the_same_number_and_members_in_another_order_are_equal(authority: JsonValue, shadow: JsonValue) -> None:
    assert compared(authority, shadow) == (Verdict.EQUAL, ())


def test_large_integers_are_compared_exactly() -> None:
    assert compared(2**53, 2**53 + 1)[0] is Verdict.DIFFERENT_VALUE
    assert compared([-1], [-2])[0] is Verdict.DIFFERENT_VALUE, "-1 and -2 have one hash"
    assert compared([0, 1], [2**61 - 1, 1])[0] is Verdict.DIFFERENT_VALUE, "0 and 2**61 - 1 have one hash"


@pytest.mark.parametrize("value", [float("nan"), [float("nan")], {"a": [{"b": float("nan")}]}])
def test_nan_is_never_equal(value: JsonValue) -> None:
    assert compared(value, copy.deepcopy(value))[0] is Verdict.DIFFERENT_VALUE


def test_nan_is_not_null() -> None:
    assert compared([None], [float("nan")])[0] is Verdict.DIFFERENT_VALUE


def test_samples_show_both_sides() -> None:
    (difference,) = compared({"total": 10}, {"total": 11})[1]
    assert (difference.authority, difference.shadow, difference.aspect, difference.ignored_by) == (10, 11, "value", None)


@pytest.mark.parametrize("key", ["42", "a@example.org", "two words", "a/b", "x" * 101, "", "9f8b1c1e-0000-4000-8000-0242ac130003"])
def test_keys_that_are_data_are_no_part_of_the_path(key: str) -> None:
    assert found(compared({key: {"n": 1}, "b": 1}, {key: {"n": 2}, "b": 1})) == [("value", "/value/*/n")]


@pytest.mark.parametrize("key", ["name", "unit_price", "Content-Type", "$ref", "_id", "x2"])
def test_field_names_are_part_of_the_path(key: str) -> None:
    assert found(compared({key: 1}, {key: 2})) == [("value", f"/value/{key}")]


def test_more_than_fifty_keys_are_data() -> None:
    ours = {f"k{n}": n for n in range(51)}
    assert found(compared(ours, {**ours, "k7": -1})) == [("value", "/value/*")]
    del ours["k50"]
    assert found(compared(ours, {**ours, "k7": -1})) == [("value", "/value/k7")]


def test_at_most_a_hundred_differences_and_the_rest_is_mentioned() -> None:
    ours = {"outer": [{f"f{n}x{m}": 0 for m in range(40)} for n in range(10)]}
    theirs = {"outer": [{f"f{n}x{m}": 1 for m in range(40)} for n in range(10)]}
    verdict, differences = compared(ours, theirs)
    assert (verdict, len(differences)) == (Verdict.DIFFERENT_VALUE, MAX_DIFFERENCES)
    assert differences[-1].kind == "truncated"
    assert differences[-1].authority == f"{400 - MAX_DIFFERENCES + 1} more differences"


def test_the_same_difference_in_every_member_of_a_list_leaves_room_for_others() -> None:
    ours: JsonValue = {"rows": [{"n": n} for n in range(500)], "total": 1}
    theirs: JsonValue = {"rows": [{"n": -n - 1} for n in range(500)], "total": 2}
    assert set(found(compared(ours, theirs))) == {("value", "/value/rows/[*]/n"), ("value", "/value/total")}


def _nested(depth: int, core: JsonValue) -> JsonValue:
    value = core
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("depth", [150, 250, 5_000])
def test_depth_is_bounded(depth: int) -> None:
    ours, theirs = _nested(depth, 1), _nested(depth, 2)
    kinds = {kind for kind, _ in found(compared(ours, theirs))}
    assert kinds == ({"value"} if depth < 200 else {"truncated"})


@pytest.mark.parametrize(
    ("authority", "shadow", "kind"),
    [
        (list(range(400_000)), list(range(1, 400_001)), "truncated"),
        ({f"k{n}": n for n in range(300_000)}, {f"k{n}": n + 1 for n in range(300_000)}, "truncated"),
        ([[] for _ in range(50_000)], [[[]] for _ in range(50_000)], "length"),
        ("a" * 5_000_000, "b" * 5_000_000, "value"),
    ],
    ids=["long list", "wide object", "many lists", "long text"],
)
@pytest.mark.timeout(20)
def test_size_is_bounded(authority: JsonValue, shadow: JsonValue, kind: str) -> None:
    verdict, differences = compared(authority, shadow)
    assert verdict is Verdict.DIFFERENT_VALUE
    assert kind in {difference.kind.value for difference in differences}
    assert all(len(str(difference.authority)) < 3_000 for difference in differences)


def test_bounds_give_the_same_answer_every_time() -> None:
    ours, theirs = [{"a": [n]} for n in range(90_000)], [{"a": [n + 1]} for n in range(90_000)]
    assert compared(ours, theirs) == compared(ours, theirs)
