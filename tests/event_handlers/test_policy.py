from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.errors import ConfigurationError
from event_handlers import DoNotRetry, NotNow, Policy, Retry
from event_handlers.policy import MESSAGE_MAX_BYTES, TRACEBACK_MAX_BYTES, failure_of

ERRORS = st.sampled_from([Retry(), Retry(3.0), DoNotRetry(), ValueError("x"), KeyError("x"), SystemExit(1)])


@given(st.integers(1, 10), st.integers(1, 20), ERRORS)
def test_no_attempt_follows_the_last(max_attempts: int, attempt: int, error: BaseException) -> None:
    policy = Policy(max_attempts=max_attempts, retry_on=(Exception,))
    if attempt >= max_attempts:
        assert policy.next_delay_s(attempt, error) is None


def test_errors_are_not_worth_another_attempt_unless_named() -> None:
    assert Policy(max_attempts=3).next_delay_s(1, ValueError()) is None
    assert Policy(max_attempts=3, retry_on=(ValueError,)).next_delay_s(1, ValueError()) == 1.0
    assert Policy(max_attempts=3, retry_on=(ValueError,)).next_delay_s(1, KeyError()) is None


def test_do_not_retry_ends_it_even_where_its_kind_is_named() -> None:
    assert Policy(max_attempts=3, retry_on=(Exception,)).next_delay_s(1, DoNotRetry()) is None


def test_retry_names_its_own_delay_or_leaves_it_to_the_policy() -> None:
    policy = Policy(max_attempts=5, retry_delays_s=(1.0, 5.0))
    assert policy.next_delay_s(1, Retry(30.0)) == 30.0
    assert policy.next_delay_s(1, Retry(-1.0)) == 0.0
    assert [policy.next_delay_s(attempt, Retry()) for attempt in (1, 2, 3, 4)] == [1.0, 5.0, 5.0, 5.0]


@given(st.integers(1, 5))
def test_jitter_draws_from_the_whole_of_the_policys_delay_and_leaves_others_alone(attempt: int) -> None:
    delays_s = (2.0, 4.0, 600.0)
    policy = Policy(max_attempts=9, retry_delays_s=delays_s, retry_jitter=True, retry_on=(OSError,))
    whole_s = delays_s[min(attempt, 3) - 1]
    drawn = [policy.next_delay_s(attempt, OSError()) or 0.0 for _ in range(50)]
    assert 0.0 <= min(drawn) < whole_s / 2 < max(drawn) <= whole_s
    assert policy.next_delay_s(attempt, Retry(30.0)) == 30.0
    assert policy.jittered_within_s(attempt, OSError()) == policy.jittered_within_s(attempt, Retry()) == whole_s
    assert policy.jittered_within_s(attempt, Retry(30.0)) is None
    assert Policy(max_attempts=9, retry_delays_s=delays_s, retry_on=(OSError,)).jittered_within_s(attempt, OSError()) is None


@pytest.mark.parametrize("settings", [{"max_attempts": 0}, {"retry_delays_s": ()}, {"retry_delays_s": (1.0, -1.0)}, {"time_limit_s": 0.0}])
def test_a_policy_that_cannot_be_meant_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        Policy(**settings)  # type: ignore[arg-type]


def _raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        if cause is None:
            raise error
        raise error from cause
    except BaseException as exc:  # noqa: BLE001
        return exc


def test_a_failure_is_named_after_the_error_a_retry_was_raised_from() -> None:
    assert failure_of(_raised(Retry(), KeyError("a"))).kind == "KeyError"
    assert failure_of(_raised(DoNotRetry(), KeyError("a"))).kind == "KeyError"


def test_a_retry_raised_while_handling_an_error_stands_for_that_error() -> None:
    def ask_again() -> None:
        try:
            raise KeyError("a")
        except KeyError:
            raise Retry  # noqa: B904

    with pytest.raises(Retry) as raised:
        ask_again()
    assert failure_of(raised.value).kind == "KeyError"


def test_a_retry_raised_from_none_ends_under_celerys_name_too() -> None:
    def ask_again() -> None:
        try:
            raise KeyError("a")
        except KeyError:
            raise Retry from None

    with pytest.raises(Retry) as raised:
        ask_again()
    assert failure_of(raised.value).kind == "MaxRetriesExceededError"


def test_a_retry_of_its_own_ends_under_celerys_name() -> None:
    assert failure_of(Retry()).kind == "MaxRetriesExceededError"


class Rude(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@given(st.text(max_size=50), st.integers(0, 200))
def test_texts_are_bounded_and_can_be_written(text: str, times: int) -> None:
    failure = failure_of(_raised(ValueError(text * times)))
    assert len(failure.message.encode()) <= MESSAGE_MAX_BYTES
    assert failure.traceback is not None
    assert len(failure.traceback.encode()) <= TRACEBACK_MAX_BYTES


def test_an_error_that_cannot_tell_its_text_still_has_a_failure() -> None:
    assert failure_of(_raised(Rude())).kind == "Rude"


@pytest.mark.parametrize("ask", [Retry, NotNow])
@pytest.mark.parametrize(
    ("delay_s", "error"),
    [
        *((delay_s, ValueError) for delay_s in (float("inf"), float("-inf"), float("nan"), 1e13, 10**400)),
        *((delay_s, TypeError) for delay_s in ("5", b"5", timedelta(seconds=5), [5])),
    ],
)
def test_a_delay_that_cannot_be_meant_is_refused_where_it_is_asked_for(
    ask: Callable[[Any], Exception], delay_s: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="delay_s"):
        ask(delay_s)


@pytest.mark.parametrize("ask", [Retry, NotNow])
def test_any_number_of_seconds_is_a_delay_and_the_past_is_now(ask: Callable[[Any], Retry | NotNow]) -> None:
    asked = [ask(delay_s).delay_s for delay_s in (5, 0.25, Decimal("1.5"), -3, True, 86_400 * 365 * 99)]
    assert asked == [5.0, 0.25, 1.5, 0.0, 1.0, 86_400.0 * 365 * 99]


@pytest.mark.parametrize("delay_s", [float("inf"), float("nan"), 1e13])
def test_a_policy_with_a_time_that_cannot_be_meant_is_refused(delay_s: float) -> None:
    with pytest.raises(ConfigurationError, match="retry_delay_s"):
        Policy(retry_delays_s=(1.0, delay_s))
    with pytest.raises(ConfigurationError, match="time_limit_s"):
        Policy(time_limit_s=delay_s)
