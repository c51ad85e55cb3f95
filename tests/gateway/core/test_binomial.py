"""Exact bounds, against the sums and tables they come from."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.binomial import at_most, clean_needed, exact_upper

RATIOS = st.floats(0.001, 0.999)


def _summed(k: int, n: int, p: float) -> float:
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), RATIOS)
def test_the_distribution_is_the_sum_of_its_terms(case: tuple[int, int], p: float) -> None:
    assert at_most(*case, p) == pytest.approx(_summed(*case, p), abs=1e-9)


@given(st.integers(101, 400), st.integers(401, 900), RATIOS)
def test_where_terms_are_many_the_fraction_agrees_with_their_sum(k: int, n: int, p: float) -> None:
    assert at_most(k, n, p) == pytest.approx(_summed(k, n, p), abs=1e-9)


@pytest.mark.parametrize(
    ("k", "n", "upper"), [(0, 299, 0.0099691), (0, 2_995, 0.00099975), (5, 1_000, 0.010484), (50_000, 10**6, 0.050360)]
)
def test_bounds_are_those_of_clopper_and_pearson(k: int, n: int, upper: float) -> None:
    assert exact_upper(k, n) == pytest.approx(upper, rel=1e-4)


@pytest.mark.parametrize(("limit", "needed"), [(0.01, 299), (0.005, 598), (0.001, 2_995), (0.0001, 29_956)])
def test_clean_runs_needed_are_the_known_numbers(limit: float, needed: int) -> None:
    assert clean_needed(0, limit) == needed


@given(st.integers(0, 200), st.floats(0.002, 0.9))
def test_what_is_needed_is_the_first_n_that_proves_it(k: int, limit: float) -> None:
    needed = clean_needed(k, limit)
    assert needed is not None
    assert exact_upper(k, needed) <= limit * (1 + 1e-6)
    assert needed - 1 <= k or exact_upper(k, needed - 1) > limit * (1 - 1e-6)


def test_nothing_proves_a_ratio_of_zero() -> None:
    assert clean_needed(0, 0.0) is None


def test_a_count_beyond_its_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="not a count"):
        exact_upper(2, 1)
