"""What a run makes up (ids, times) may differ; what it was given may not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import JsonValue
from gateway.core.comparison import Verdict
from tests.support.comparing import START, compared, found

A, B, C, D, E, F = (str(uuid.UUID(int=n * 7919, version=4)) for n in range(1, 7))
SAME = (Verdict.EQUAL_AFTER_NORMALISE, ())


def _typed(kind: str, value: JsonValue) -> JsonValue:
    return {"__type__": kind, "__value__": value}


@pytest.mark.parametrize(
    ("authority", "shadow"),
    [
        (A, B),
        ([A, A], [B, B]),
        ([A, B], [C, D]),
        ({"id": A, "link": f"/orders/{A}/status"}, {"id": B, "link": f"/orders/{B}/status"}),
        ({A: 1}, {B: 1}),
        ({A: {"n": 1}, B: {"n": 2}}, {C: {"n": 1}, D: {"n": 2}}),
        ({A: {"n": 1}, B: {"n": 2}}, {C: {"n": 2}, D: {"n": 1}}),
        (A, B.upper()),
        (A.replace("-", ""), B),
        (_typed("uuid", {"hex": A.replace("-", ""), "version": 4}), _typed("uuid", {"hex": B.replace("-", ""), "version": 4})),
        (_typed("uuid", {"hex": A.replace("-", ""), "version": 4}), A),
        (f"line\n{A}\n", f"line\n{B}\n"),
    ],
)
def test_generated_ids_may_differ(authority: JsonValue, shadow: JsonValue) -> None:
    assert compared(authority, shadow) == SAME


@pytest.mark.parametrize(
    ("authority", "shadow"),
    [([A, A], [B, C]), ([A, B], [C, C]), ({"a": A, "b": A}, {"a": B, "b": C}), ([f"x {A}", f"y {A}"], [f"x {B}", f"y {C}"])],
)
def test_the_same_id_twice_is_not_two_ids(authority: JsonValue, shadow: JsonValue) -> None:
    assert compared(authority, shadow)[0] is Verdict.DIFFERENT_VALUE


def test_an_id_both_sides_have_stays_itself() -> None:
    assert found(compared({"order": A, "mail": A}, {"order": A, "mail": B})) == [("value", "/value/mail")]
    assert found(compared({"a": A, "b": B}, {"a": B, "b": A})) == [("value", "/value/a"), ("value", "/value/b")]


def test_an_id_that_was_given_is_no_invention() -> None:
    assert compared({"order": A}, {"order": B}) == SAME
    assert found(compared({"order": A}, {"order": B}, given={"args": [A]})) == [("value", "/value/order")]
    assert found(compared({"order": A}, {"order": B}, given=[_typed("uuid", {"hex": B.replace("-", ""), "version": 4})])) != []


def test_generated_ids_do_not_hide_another_order() -> None:
    ours: JsonValue = [{"id": A, "lines": [{"n": 1}]}, {"id": B, "lines": [{"n": 2}]}]
    theirs: JsonValue = [{"id": C, "lines": [{"n": 2}]}, {"id": D, "lines": [{"n": 1}]}]
    assert found(compared(ours, theirs)) == [("order", "/value")]
    assert found(compared({"main": A, "all": [A, B]}, {"main": C, "all": [D, C]})) == [("order", "/value/all")]


def test_one_fault_does_not_make_every_id_after_it_look_wrong() -> None:
    ours: JsonValue = {"first": A, "rows": [{"id": B, "n": 1}, {"id": C, "n": 2}]}
    theirs: JsonValue = {"rows": [{"id": D, "n": 1}, {"id": E, "n": 3}]}
    assert set(found(compared(ours, theirs))) == {("missing", "/value/first"), ("value", "/value/rows/[*]/n")}


def test_a_digest_is_no_id() -> None:
    assert compared("d41d8cd98f00b204e9800998ecf8427e", "9e107d9d372bb6826bd81d3542a419d6")[0] is Verdict.DIFFERENT_VALUE


def _at(**later: float) -> str:
    return (START + timedelta(**later)).isoformat()


@pytest.mark.parametrize(
    ("authority", "shadow"),
    [
        (_at(), _at(seconds=3)),
        ({"created": _at(), "expires": _at(hours=1)}, {"created": _at(seconds=2), "expires": _at(hours=1, seconds=2)}),
        ([_at(), _at()], [_at(seconds=2), _at(seconds=2.5)]),
        (_at(), _at().replace("+00:00", "Z")),
        (_at(), (START + timedelta(seconds=1)).strftime("%Y-%m-%d %H:%M:%S")),
        (f"Sent at {_at()}.", f"Sent at {_at(seconds=1)}."),
        (_typed("datetime", _at()), _typed("datetime", _at(seconds=1))),
        (_typed("datetime", _at()), _at(seconds=1)),
    ],
)
def test_times_of_the_run_may_differ(authority: JsonValue, shadow: JsonValue) -> None:
    assert compared(authority, shadow) == SAME


@pytest.mark.parametrize(
    ("authority", "shadow"),
    [
        ({"due": _at(days=7)}, {"due": _at(days=8)}),
        ({"due": _at()}, {"due": _at(hours=1)}),
        ({"day": "2026-11-21"}, {"day": "2026-11-22"}),
        ({"born": "1990-01-01"}, {"born": "1991-01-01"}),
        ({"at": "2026-13-45"}, {"at": "2026-13-46"}),
        ({"at": _at(), "day": "2026-11-21"}, {"at": _at(seconds=1), "day": "2026-11-20"}),
    ],
)
def test_a_time_no_run_can_explain_is_a_difference(authority: JsonValue, shadow: JsonValue) -> None:
    assert compared(authority, shadow)[0] is Verdict.DIFFERENT_VALUE


def test_times_are_measured_from_the_start_of_each_run() -> None:
    assert compared({"now": _at(), "due": _at(days=7)}, {"now": _at(days=1), "due": _at(days=8)}, lag_s=86_400) == SAME
    assert compared({"day": "2026-11-21"}, {"day": "2026-11-22"}, lag_s=86_400) == SAME
    assert compared({"day": "2026-11-21"}, {"day": "2026-11-23"}, lag_s=86_400)[0] is Verdict.DIFFERENT_VALUE


def test_a_time_both_sides_have_stays_itself() -> None:
    given = "2026-11-21T09:30:01+00:00"
    assert found(compared({"eta": given, "ran": given}, {"eta": given, "ran": _at(seconds=4)})) == [("value", "/value/ran")]


@pytest.mark.parametrize(
    ("authority", "shadow", "verdict"),
    [
        (_typed("decimal", "1.10"), _typed("decimal", "1.10"), Verdict.EQUAL),
        (_typed("decimal", "1.10"), "1.10", Verdict.EQUAL_AFTER_NORMALISE),
        (_typed("decimal", "1.10"), _typed("decimal", "1.11"), Verdict.DIFFERENT_VALUE),
        (_typed("bytes", "abc"), _typed("base64", "YWJj"), Verdict.EQUAL_AFTER_NORMALISE),
    ],
)
def test_typed_objects_are_what_they_stand_for(authority: JsonValue, shadow: JsonValue, verdict: Verdict) -> None:
    assert compared({"x": authority}, {"x": shadow})[0] is verdict


def test_paths_and_samples_speak_of_typed_objects_as_plain_values() -> None:
    (difference,) = compared({"x": _typed("decimal", "1.10")}, {"x": _typed("decimal", "1.11")})[1]
    assert (difference.path, difference.authority, difference.shadow) == ("/value/x", "1.10", "1.11")


NOW_S = int(START.timestamp())
ULIDS = "01KA5Z3NDEKTSV4RRFFQ69G5FA", "01KA5Z3NDEKTSV4RRFFQ69G5FB", "01KA5Z4000KTSV4RRFFQ69G5FC"


def _mail_time(after_s: float) -> str:
    return format_datetime(START + timedelta(seconds=after_s), usegmt=True)


@given(
    ours_s=st.integers(0, 20),
    theirs_s=st.integers(0, 20),
    write=st.sampled_from(
        [
            lambda s: NOW_S + s,
            lambda s: NOW_S + s + 0.25 * (s % 3),
            lambda s: (NOW_S + s) * 1_000 + s,
            lambda s: str(NOW_S + s),
            lambda s: f"expires {NOW_S + s + 3_600}, or so",
            lambda s: f'{{"iat": {NOW_S + s}.{s}5}}',
            lambda s: (NOW_S + s) * 1_000_000 + 7,
            _mail_time,
            lambda s: f"Date: {_mail_time(s)}\r\n",
        ]
    ),
)
def test_a_time_of_the_run_may_differ_in_whatever_form_it_is_written(ours_s: int, theirs_s: int, write: Callable[[int], JsonValue]) -> None:
    verdict, differences = compared({"at": write(ours_s), "n": 1}, {"at": write(theirs_s), "n": 1})
    assert (verdict.is_same, differences) == (True, ())
    shuffled = compared({"at": write(ours_s), "n": [{"b": 1, "a": 2}]}, {"n": [{"a": 2, "b": 1}], "at": write(theirs_s)})
    assert shuffled[0].is_same


@pytest.mark.parametrize(
    ("authority", "shadow"),
    [
        # Another moment, another form, another type, and numbers far from the run.
        (NOW_S, NOW_S + 86_400),
        (NOW_S, (NOW_S + 1) * 1_000),
        (NOW_S, str(NOW_S + 1)),
        (NOW_S, (START + timedelta(seconds=1)).isoformat()),
        (_mail_time(0), (START + timedelta(seconds=1)).isoformat()),
        (_mail_time(0), _mail_time(86_400)),
        (NOW_S - 40 * 86_400, NOW_S - 40 * 86_400 + 1),
        (1_100_000_000, 1_100_000_001),
        (f"+{NOW_S}", f"+{NOW_S + 1}"),
        (f"INV-{NOW_S}", f"INV-{NOW_S + 1}"),
        ([NOW_S, NOW_S], [NOW_S + 1, 5]),
    ],
)
def test_what_only_looks_like_a_time_of_the_run_is_compared(authority: JsonValue, shadow: JsonValue) -> None:
    assert compared({"at": authority}, {"at": shadow})[0] is Verdict.DIFFERENT_VALUE


def test_a_time_in_seconds_that_was_given_is_no_invention() -> None:
    given_s = NOW_S + 5
    assert found(compared({"at": given_s}, {"at": NOW_S + 6}, given={"args": [given_s]})) == [("value", "/value/at")]


def test_ulids_are_generated_ids_with_an_identity() -> None:
    a, b, c = ULIDS
    assert compared({"id": a, "link": f"/orders/{a}"}, {"id": b, "link": f"/orders/{b}"}) == SAME
    assert compared({a: 1}, {b: 1}) == SAME
    assert compared([a, a], [b, c])[0] is Verdict.DIFFERENT_VALUE
    assert compared({"id": a}, {"id": B})[0] is Verdict.DIFFERENT_VALUE
    assert compared({"id": a}, {"id": b}, given=[a])[0] is Verdict.DIFFERENT_VALUE
    assert compared({"id": "0" * 26}, {"id": "1" * 26})[0] is Verdict.DIFFERENT_VALUE
