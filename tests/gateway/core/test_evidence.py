"""How much n comparisons prove."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.evidence import clean_runs_needed, exact_upper_at_zero, mismatch_bound, wilson_lower, wilson_upper


@pytest.mark.parametrize(("ratio", "runs"), [(0.01, 299), (0.005, 598), (0.001, 2_995), (0.0001, 29_956)])
def test_clean_runs_that_prove_a_ratio(ratio: float, runs: int) -> None:
    assert clean_runs_needed(ratio) == runs
    assert exact_upper_at_zero(runs) <= ratio < exact_upper_at_zero(runs - 1)


@pytest.mark.parametrize(("k", "n", "percent", "digits"), [(5, 1_000, 1.02, 2), (3, 10_000, 0.075, 3), (0, 50, 5.1, 1)])
def test_wilson_upper_bounds(k: int, n: int, percent: float, digits: int) -> None:
    assert round(100 * wilson_upper(k, n), digits) == percent


def test_where_nothing_went_wrong_the_exact_bound_counts_and_not_wilsons() -> None:
    assert wilson_upper(0, 268) < 0.01 < exact_upper_at_zero(268)
    assert mismatch_bound(0, 268) == exact_upper_at_zero(268)
    assert mismatch_bound(1, 268) == wilson_upper(1, 268)


def test_no_data_proves_nothing() -> None:
    assert (wilson_lower(0, 0), wilson_upper(0, 0), mismatch_bound(0, 0)) == (0.0, 1.0, 1.0)


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(1, 10**9))
    return draw(st.integers(0, n)), n


@given(counts())
def test_the_bounds_enclose_the_observed_ratio_and_mirror_each_other(observed: tuple[int, int]) -> None:
    k, n = observed
    assert 0.0 <= wilson_lower(k, n) <= k / n <= wilson_upper(k, n) <= 1.0
    assert math.isclose(wilson_lower(k, n), 1.0 - wilson_upper(n - k, n), abs_tol=1e-9)


@given(counts())
def test_the_same_ratio_with_more_data_is_bounded_closer(observed: tuple[int, int]) -> None:
    k, n = observed
    assert wilson_upper(2 * k, 2 * n) <= wilson_upper(k, n) + 1e-12
    assert wilson_lower(2 * k, 2 * n) >= wilson_lower(k, n) - 1e-12


@pytest.mark.parametrize(("k", "n"), [(-1, 1), (2, 1), (0, -1)])
def test_what_is_no_count_of_a_whole_is_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a count of a whole"):
        mismatch_bound(k, n)


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, math.nan])
def test_what_is_no_ratio_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="not a ratio"):
        clean_runs_needed(ratio)
