"""The log-scale histogram."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.latency import bucket_of_ms, latency_of, middle_of_ms

TIMES = st.floats(0.002, 1e9)


@given(TIMES)
def test_a_bucket_stands_for_its_times_within_five_percent(elapsed_ms: float) -> None:
    assert middle_of_ms(bucket_of_ms(elapsed_ms)) == pytest.approx(elapsed_ms, rel=0.05)


@given(TIMES, TIMES)
def test_a_longer_time_is_in_no_lower_bucket(one_ms: float, other_ms: float) -> None:
    assert bucket_of_ms(min(one_ms, other_ms)) <= bucket_of_ms(max(one_ms, other_ms))


@given(st.lists(TIMES, min_size=1, max_size=200))
def test_quantiles_are_within_five_percent_of_the_exact_ones(times: list[float]) -> None:
    latency = latency_of(Counter(map(bucket_of_ms, times)))
    ordered = sorted(times)
    assert latency.count == len(times)
    for q, found_ms in ((0.50, latency.p50_ms), (0.95, latency.p95_ms), (0.99, latency.p99_ms)):
        assert found_ms == pytest.approx(ordered[math.ceil(q * len(times)) - 1], rel=0.05)


@pytest.mark.parametrize("elapsed_ms", [0.0, -5.0, math.nan, math.inf, 1e300, 5e-324])
def test_no_time_is_too_strange_to_count(elapsed_ms: float) -> None:
    assert latency_of({bucket_of_ms(elapsed_ms): 1}).count == 1


def test_nothing_counted_has_no_quantiles() -> None:
    latency = latency_of({})
    assert (latency.count, latency.p50_ms, latency.p95_ms, latency.p99_ms) == (0, None, None, None)
