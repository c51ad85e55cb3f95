"""The simulation of the gate, small: the same seeds give the same numbers in every process."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.gate import Rates, faulty_rollouts, last_steps, no_data_actions, sound_rollouts
from gateway.core.gate_settings import Gate

GATE = Gate(error_points=2.0)


def test_sound_rollouts_are_rarely_taken_back_though_looked_at_all_the_time() -> None:
    result = sound_rollouts(GATE, Rates(mismatch=0.001), 20, seed=1)
    assert result.rolled_back <= 1
    assert result.finished >= 19


def test_a_handler_that_differs_in_one_percent_is_taken_back_and_hardly_ever_taken_on() -> None:
    result = faulty_rollouts(GATE, Rates(mismatch=0.01), 60, seed=2)
    assert result.rolled_back >= 57
    assert result.promoted <= 3


def test_in_the_last_step_only_a_handler_that_fails_more_often_than_legacy_did_is_taken_back() -> None:
    assert last_steps(GATE, (0.02, 0.02), 40, seed=3).rolled_back <= 1
    assert last_steps(GATE, (0.02, 0.06), 40, seed=3).rolled_back >= 38
    dead = last_steps(GATE, (0.02, 1.0), 40, seed=3)
    assert (dead.rolled_back, dead.runs_median) == (40, 25)


def test_no_data_is_held_in_every_step() -> None:
    assert set(no_data_actions(replace(GATE, auto_promote=True)).values()) == {"hold"}
