"""What holds for any two outcomes."""

from __future__ import annotations

import copy
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import cast

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dualrun.contracts import Effect, JsonValue, Outcome, Role, State
from gateway.comparison import MAX_DIFFERENCES, TaskRules, compare_outcomes
from gateway.comparison.canonical import Run, canonicalise
from gateway.core.comparison import Difference, Verdict
from tests.support.comparing import START, an_outcome, compared

_SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_uuids = st.sampled_from([str(uuid.UUID(int=n * 7919, version=4)) for n in range(6)])
_times = st.sampled_from(["2026-11-21T09:30:00+00:00", "2026-11-21T09:30:02Z", "2026-11-21", "2026-11-28T09:30:00", "1990-01-01"])
_texts = st.text(max_size=12) | _uuids | _times | _uuids.map(lambda one: f"order {one}!")
_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts
_typed = st.builds(lambda kind, value: {"__type__": kind, "__value__": value}, st.sampled_from(["decimal", "datetime", "own"]), _texts)
_values: st.SearchStrategy[JsonValue] = cast(
    "st.SearchStrategy[JsonValue]",
    st.recursive(
        _scalars | _typed,
        lambda inner: (
            st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6) | _uuids | st.sampled_from("abc"), inner, max_size=5)
        ),
        max_leaves=20,
    ),
)
_effects = st.builds(
    Effect,
    kind=st.sampled_from(["email", "http"]),
    key=st.sampled_from(["to:a@b.c", "POST http://x/1", "POST http://x/2"]) | _uuids,
    payload=_values,
    error=st.none() | st.just("Timeout"),
)
# What was cancelled is not compared.
_states = st.sampled_from(State).filter(lambda state: state is not State.REVOKED)
_outcome_parts = st.tuples(_values, st.lists(_effects, max_size=4), _states, st.sampled_from([None, "KeyError", "Timeout"]))
_Parts = tuple[JsonValue, list[Effect], State, str | None]


def _outcome(role: Role, parts: _Parts) -> Outcome:
    value, effects, state, error = parts
    return an_outcome(role, value, effects=effects, state=state, error=error)


@_SETTINGS
@given(_outcome_parts)
def test_an_outcome_does_not_differ_from_itself(parts: _Parts) -> None:
    ours, theirs = _outcome(Role.AUTHORITY, parts), _outcome(Role.SHADOW, copy.deepcopy(parts))
    assert compare_outcomes(ours, theirs, TaskRules()) == (Verdict.EQUAL, ())


_MIRRORED = {"missing": "extra", "extra": "missing", "effect_missing": "effect_extra", "effect_extra": "effect_missing"}


def _fingerprints(differences: Sequence[Difference], *, mirrored: bool) -> Counter[tuple[str, str]]:
    return Counter((_MIRRORED.get(one.kind, one.kind) if mirrored else one.kind.value, one.path) for one in differences)


@_SETTINGS
@given(_outcome_parts, _outcome_parts)
def test_swapping_the_outcomes_swaps_missing_and_extra(one: _Parts, other: _Parts) -> None:
    verdict, differences = compare_outcomes(_outcome(Role.AUTHORITY, one), _outcome(Role.SHADOW, other), TaskRules())
    back_verdict, back = compare_outcomes(_outcome(Role.AUTHORITY, other), _outcome(Role.SHADOW, one), TaskRules())
    assert verdict is back_verdict
    if len(differences) < MAX_DIFFERENCES:
        assert _fingerprints(differences, mirrored=True) == _fingerprints(back, mirrored=False)


_ID = "00000000-0000-4000-8000-00000000000"


@_SETTINGS
@given(_values, _values)
@example({f"{_ID}1": None, "A": {f"{_ID}2": None}}, {f"{_ID}3": None, f"{_ID}4": None})
def test_canonical_forms_are_canonical(authority: JsonValue, shadow: JsonValue) -> None:
    runs = Run(START, START), Run(START, START)
    once = canonicalise(authority, shadow, runs)
    assert canonicalise(*once, runs) == once


@_SETTINGS
@given(_values, _values)
def test_any_two_values_get_a_verdict_that_fits_the_differences(authority: JsonValue, shadow: JsonValue) -> None:
    verdict, differences = compared(authority, shadow)
    assert verdict.is_same == (not differences)
    assert len(differences) <= MAX_DIFFERENCES


def _renamed(value: JsonValue, names: dict[str, str]) -> JsonValue:
    if isinstance(value, str):
        for old, new in names.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {str(_renamed(key, names)): _renamed(member, names) for key, member in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


@_SETTINGS
@given(_values, _uuids)
def test_renaming_generated_ids_consistently_changes_nothing(value: JsonValue, first: str) -> None:
    names = {str(uuid.UUID(int=n * 7919, version=4)): str(uuid.UUID(int=10_000 + n * 104_729, version=4)) for n in range(6)}
    whole: JsonValue = {"first": first, "rest": value}
    assert compared(whole, _renamed(whole, names)) == (Verdict.EQUAL_AFTER_NORMALISE, ())


@_SETTINGS
@given(st.lists(_values, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_a_permuted_list_is_one_difference_of_order(items: list[JsonValue], shuffle: random.Random) -> None:
    permuted = shuffle.sample(items, len(items))
    verdict, differences = compared({"list": items}, {"list": permuted})
    if not differences:
        assert verdict is Verdict.EQUAL
    else:
        assert [(one.kind.value, one.path) for one in differences] == [("order", "/value/list")]


_Place = tuple[str | int, ...]


def _leaves(value: JsonValue, place: _Place = ()) -> Iterator[_Place]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _leaves(member, (*place, key))
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _leaves(item, (*place, n))
    else:
        yield place


_fields = st.sampled_from(["id", "name", "total", "items", "address"])
_records = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=8) | _uuids,
    lambda inner: st.lists(inner, min_size=1, max_size=4) | st.dictionaries(_fields, inner, min_size=1, max_size=4),
    max_leaves=15,
)


@_SETTINGS
@given(st.dictionaries(_fields, _records, min_size=1, max_size=4), st.data())
def test_a_single_changed_leaf_is_found_at_its_path(record: dict[str, JsonValue], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(list(_leaves(cast("JsonValue", record)))))
    changed = copy.deepcopy(record)
    at = cast("dict[str | int, JsonValue]", changed)
    for step in place[:-1]:
        at = cast("dict[str | int, JsonValue]", at[step])
    at[place[-1]] = "a planted fault"
    path = "/value" + "".join("/[*]" if isinstance(step, int) else f"/{step}" for step in place)
    verdict, differences = compared(cast("JsonValue", record), cast("JsonValue", changed))
    assert verdict is Verdict.DIFFERENT_VALUE
    assert {one.path for one in differences} == {path}
    assert differences[0].shadow == "a planted fault"
