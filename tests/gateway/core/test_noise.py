"""What control runs say of a field."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.noise import CASES, Case, diffy_flags, draw_binomial
from gateway.core.noise import CONTROL_RUNS_MIN, FieldCounts, FieldStanding, judge_fields


def standing(pairs: int, different: int, control_pairs: int, control_different: int, material: float = 0.001) -> FieldStanding:
    return judge_fields({0: FieldCounts(pairs, different, control_pairs, control_different, material)})[0].standing


def test_a_field_that_differs_as_often_in_legacy_itself_is_noise() -> None:
    judged = judge_fields({"at": FieldCounts(1_000, 975, 100, 98)})["at"]
    assert judged.standing is FieldStanding.NOISE
    assert judged.is_ignorable


def test_a_few_control_runs_are_no_reason_to_hide_anything() -> None:
    few, enough = (judge_fields({"at": FieldCounts(1_000, 1_000, runs, runs)})["at"] for runs in (CONTROL_RUNS_MIN - 1, CONTROL_RUNS_MIN))
    assert [few.standing, enough.standing] == [FieldStanding.NOISE, FieldStanding.NOISE]
    assert [few.is_ignorable, enough.is_ignorable] == [False, True]


def test_a_shift_on_a_noisy_field_is_found_where_a_ratio_sees_nothing() -> None:
    assert standing(10_000, 2_400, 10_000, 2_000) is FieldStanding.DIFFERENT
    assert not diffy_flags(10_000, 2_400, 2_000)


def test_a_field_that_never_differs_in_legacy_is_different_after_few() -> None:
    assert standing(1_000, 40, 200, 0) is FieldStanding.DIFFERENT


def test_one_more_is_unproven_and_no_alarm() -> None:
    assert standing(1_000, 3, 1_000, 1) is FieldStanding.UNPROVEN


def test_what_is_significant_and_too_small_to_matter_is_no_alarm() -> None:
    assert standing(10_000_000, 12_000, 10_000_000, 11_000) is FieldStanding.UNPROVEN
    assert standing(10_000_000, 12_000, 10_000_000, 11_000, material=0.0) is FieldStanding.DIFFERENT


def test_without_control_runs_nothing_is_called_noise() -> None:
    assert standing(1_000, 900, 0, 0) is FieldStanding.UNKNOWN


def test_among_many_quiet_fields_hardly_any_is_called_different() -> None:
    draw = random.Random(1)
    alarms = 0
    for _ in range(50):
        fields = {n: FieldCounts(1_000, draw_binomial(draw, 1_000, 0.1), 1_000, draw_binomial(draw, 1_000, 0.1)) for n in range(50)}
        alarms += any(one.standing is FieldStanding.DIFFERENT for one in judge_fields(fields).values())
    assert alarms <= 8


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 5_000), st.integers(1, 5_000), st.data())
def test_a_verdict_never_stands_against_the_rates(pairs: int, control_pairs: int, data: st.DataObject) -> None:
    k, j = data.draw(st.integers(0, pairs)), data.draw(st.integers(0, control_pairs))
    judged = judge_fields({0: FieldCounts(pairs, k, control_pairs, j)})[0]
    assert (judged.standing in (FieldStanding.DIFFERENT, FieldStanding.UNPROVEN)) == (judged.excess > 0)
    assert 0.0 <= judged.p_value <= 1.0


@pytest.mark.parametrize("row", CASES, ids=str)
def test_the_rule_is_better_than_diffys_in_every_row(row: Case) -> None:
    draw, draws = random.Random(str(row)), 600
    diffy = alarms = shown = 0
    for _ in range(draws):
        k, j = draw_binomial(draw, row.n, row.noise + row.shift), draw_binomial(draw, row.n, row.noise)
        said = standing(row.n, k, row.n, j)
        diffy += diffy_flags(row.n, k, j)
        alarms += said is FieldStanding.DIFFERENT
        shown += said is not FieldStanding.NOISE
    assert alarms < diffy if row.shift == 0 else (shown if row.is_rare else alarms) >= diffy
