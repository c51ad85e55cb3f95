"""The header that says how long each further attempt was asked to wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts.topology import retry_delays_of, retry_delays_with, retry_within_of

_SECONDS = st.integers(0, 100_000).map(lambda ms: ms / 1_000)


@given(st.lists(st.tuples(_SECONDS, st.none() | _SECONDS), min_size=1, max_size=6))
def test_what_was_asked_for_is_read_again(asked: list[tuple[float, float | None]]) -> None:
    header: str | None = None
    for delay_s, at_most_s in asked:
        header = retry_delays_with(header, delay_s, at_most_s)
    assert retry_delays_of(header) == tuple(delay_s for delay_s, _ in asked)
    jittered = any(at_most_s is not None for _, at_most_s in asked)
    within = tuple(delay_s if at_most_s is None else at_most_s for delay_s, at_most_s in asked)
    assert retry_within_of(header) == (within if jittered else ())


@given(st.sampled_from(["1/inf", "1/nan", "1/x", "/4", "", "x/2"]) | st.none())
def test_what_cannot_be_read_says_nothing(header: str | None) -> None:
    assert (retry_delays_of(header), retry_within_of(header)) == ((), ())
