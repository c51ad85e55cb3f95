"""When a circuit opens and closes: rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.errors import ConfigurationError
from event_handlers import Breaker, BreakerState
from event_handlers.breaker import Circuit

RESET_S = 10.0
SETTINGS = Breaker(failures=3, reset_s=RESET_S)


def opened(at_s: float = 0.0) -> Circuit:
    circuit = Circuit(SETTINGS)
    assert [circuit.failed(at_s) for _ in range(3)] == [False, False, True]
    return circuit


@given(st.lists(st.booleans(), max_size=60))
def test_it_opens_after_so_many_failures_in_a_row_and_not_before(results: list[bool]) -> None:
    circuit, row = Circuit(SETTINGS), 0
    for is_success in results:
        row = 0 if is_success else row + 1
        if is_success:
            circuit.succeeded()
        elif circuit.failed(0.0):
            assert row == 3
            return
        assert row < 3
        assert circuit.wait_s(0.0) == 0.0


def test_open_it_lets_nobody_through_then_one_to_try() -> None:
    circuit = opened()
    assert (circuit.state(9.9), circuit.wait_s(4.0)) == (BreakerState.OPEN, 6.0)
    assert (circuit.state(10.0), circuit.wait_s(10.0)) == (BreakerState.HALF_OPEN, 0.0)
    assert circuit.wait_s(10.0) == RESET_S


def test_a_try_that_succeeds_closes_it_and_one_that_fails_opens_it_again() -> None:
    for succeeds in (True, False):
        circuit = opened()
        assert circuit.wait_s(11.0) == 0.0
        if succeeds:
            assert circuit.succeeded()
            assert circuit.state(11.0) is BreakerState.CLOSED
        else:
            assert circuit.failed(11.0)
            assert circuit.wait_s(11.0) == RESET_S


def test_a_try_that_never_ends_does_not_block_the_next_for_ever() -> None:
    circuit = opened()
    assert circuit.wait_s(10.0) == 0.0
    assert circuit.wait_s(10.0 + RESET_S) == 0.0


@pytest.mark.parametrize("values", [{"failures": 0}, {"reset_s": 0.0}])
def test_values_that_cannot_be_meant_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Breaker(**values)  # type: ignore[arg-type]
