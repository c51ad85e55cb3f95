from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dualrun.broker.headers import fresh_headers
from event_handlers.ladder import STEPS_S, step_down_s, step_up_s

TIMES = st.floats(0, 10_000)


@given(TIMES)
def test_a_delay_is_never_cut_short_below_the_longest_step(delay_s: float) -> None:
    assert step_up_s(delay_s) in STEPS_S
    assert step_up_s(delay_s) >= min(delay_s, STEPS_S[-1])


@given(TIMES)
def test_a_wait_ends_in_few_hops_and_at_most_the_shortest_step_late(wait_s: float) -> None:
    left_s, hops = wait_s, 0
    while left_s > 0:
        left_s -= step_down_s(left_s)
        hops += 1
    assert left_s >= -STEPS_S[0] - 1e-6
    assert hops <= 4 + 12 + wait_s / STEPS_S[-1]


def test_what_the_broker_wrote_into_the_headers_is_left_out() -> None:
    brokers = dict.fromkeys(("x-death", "x-first-death-queue", "x-last-death-reason", "x-delivery-count"), "x")
    assert fresh_headers({**brokers, "x-deathly": "mine", "traceparent": "t"}) == {"x-deathly": "mine", "traceparent": "t"}
