"""Looking after every single run is wrong no more often than stated."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sequential import mean_interval, ratio_interval, shows_fault, split_evidence

ROLLOUTS, RUNS = 300, 400


def _ever(alarm: Callable[[int, int], bool], ratio: float, seed: int) -> float:
    """In which part of seeded rollouts an alarm comes at any of the looks, one after each run."""
    draw, alarms = random.Random(seed), 0
    for _ in range(ROLLOUTS):
        k = 0
        for n in range(1, RUNS + 1):
            k += draw.random() < ratio
            if alarm(k, n):
                alarms += 1
                break
    return alarms / ROLLOUTS


def test_a_sound_ratio_is_rarely_taken_for_a_fault_however_often_one_looks() -> None:
    assert _ever(lambda k, n: shows_fault(k, n, sound=0.001, faulty=0.01, risk=0.05), 0.001, 1) <= 0.05


def test_a_faulty_ratio_is_found() -> None:
    assert _ever(lambda k, n: shows_fault(k, n, sound=0.005, faulty=0.05, risk=0.05), 0.05, 2) >= 0.95


def test_a_split_as_configured_is_rarely_called_wrong_however_often_one_looks() -> None:
    assert _ever(lambda k, n: split_evidence(k, n, 0.1) >= 20, 0.1, 3) <= 0.05


def test_a_wrong_split_is_found() -> None:
    assert _ever(lambda k, n: split_evidence(k, n, 0.1) >= 1_000, 0.3, 4) >= 0.95


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_a_split_that_cannot_be_is_wrong_at_once(p: float) -> None:
    assert split_evidence(1, 2, p) > 1e100


@given(st.integers(0, 2_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.001, 0.2))
def test_an_interval_holds_what_was_observed_and_narrows_with_risk(case: tuple[int, int], risk: float) -> None:
    k, n = case
    interval, wider = ratio_interval(k, n, risk=risk), ratio_interval(k, n, risk=risk / 10)
    assert 0.0 <= wider.low <= interval.low <= interval.high <= wider.high <= 1.0
    assert n == 0 or interval.low <= k / n <= interval.high


def test_the_interval_of_a_mean_misses_a_true_mean_rarely_however_often_one_looks() -> None:
    draw, misses = random.Random(5), 0
    for _ in range(200):
        total = square = 0.0
        for n in range(1, 600):
            value = draw.gauss(0.0, 1.0)
            total, square = total + value, square + value * value
            mean = total / n
            if n >= 50 and mean_interval(abs(mean), math.sqrt(square / n - mean * mean), n, risk=0.05).low > 0:
                misses += 1
                break
    assert misses / 200 <= 0.05
