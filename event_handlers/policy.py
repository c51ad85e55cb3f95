"""How often an event is tried, and when again: rules, no clock."""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dualrun.contracts import Failure
from dualrun.contracts.typed_json import UnserializableValue
from dualrun.errors import ConfigurationError, DualrunError
from event_handlers.breaker import Breaker
from event_handlers.payload import InvalidPayload

__all__ = ["DoNotRetry", "NotNow", "OnInboxAway", "Policy", "Retry", "TimeLimitExceeded", "failure_of"]

OnInboxAway: TypeAlias = Literal["run", "wait"]
"""What is done while the inbox is out of reach, so that nobody can tell whether an event ran before. `run`: run it, at least once, logged
and counted; after a crash or a broken link its effects may be repeated. `wait`: park it until the inbox is back; no effect is repeated, and
none happens meanwhile."""
MESSAGE_MAX_BYTES = 2 * 1024
TRACEBACK_MAX_BYTES = 8 * 1024

DELAY_MAX_S = 100 * 365 * 86_400.0
"""A hundred years: what is put off for longer was not meant to be, and leaves the calendar before long."""

# What Celery calls it when a task asks again too often and names no error of its own: both sides then fail alike.
_TOO_OFTEN = "MaxRetriesExceededError"


class Retry(DualrunError):
    """Raised by a handler that wants another attempt. Without `delay_s` (seconds) its policy says when; one in the past is now.

    When no attempts are left, the event has failed with the error this one was raised from. Raises `TypeError` or `ValueError` for a delay
    that is no number, not finite or longer than a hundred years: in the handler, which has failed with it then.
    """

    def __init__(self, delay_s: float | None = None, reason: str = "") -> None:
        super().__init__(reason or "another attempt was asked for")
        self.delay_s = None if delay_s is None else _checked_s(delay_s)


class NotNow(DualrunError):
    """Raised by a handler that cannot work now, through no fault of the event: it comes again in `delay_s`, and no attempt is counted.

    That has no end of its own; an event that should not wait for ever `expires`. Raises as `Retry` does.
    """

    def __init__(self, delay_s: float, reason: str = "") -> None:
        self.delay_s = _checked_s(delay_s)
        super().__init__(reason or f"not before {self.delay_s:g} s from now")


def _checked_s(delay_s: float) -> float:
    """Here, in the handler: found out later, when its effects are done, it would have them done again."""
    if not hasattr(delay_s, "__float__"):
        raise TypeError(f"delay_s is {delay_s!r}, should be a number of seconds")
    if not -DELAY_MAX_S <= delay_s <= DELAY_MAX_S:
        raise ValueError(f"delay_s is {delay_s!r}, should be at most {DELAY_MAX_S:.0f} seconds")
    return max(0.0, float(delay_s))


class DoNotRetry(DualrunError):
    """Raised by a handler to end it here, whatever its policy says. The event has failed with the error this one was raised from."""


class TimeLimitExceeded(DualrunError):
    """The handler ran longer than its `time_limit_s` and was cancelled."""

    def __init__(self, time_limit_s: float) -> None:
        super().__init__(f"ran longer than {time_limit_s} s")


# Ends it whatever the policy names: another attempt would see the same payload, or repeat the effects and return the same value.
_FINAL = (DoNotRetry, InvalidPayload, UnserializableValue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is done about a handler that fails. Raises `ConfigurationError` for values that cannot be meant."""

    max_attempts: int = 1
    """1 means no second attempt."""
    retry_delays_s: tuple[float, ...] = (1.0,)
    """Before the second attempt, the third, ...; the last one repeats."""
    retry_jitter: bool = False
    """Wait a part of each of these delays, drawn evenly from none to all of it: events that failed together come back one by one.

    Source: full jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, as Celery's `retry_jitter`.
    """
    retry_on: tuple[type[Exception], ...] = ()
    """Errors worth another attempt beside `Retry`. As in Celery, none unless named."""
    time_limit_s: float | None = None
    """For one attempt."""
    on_inbox_away: OnInboxAway = "run"
    breaker: Breaker | None = None
    """Opens when the handler keeps failing with `retry_on`, `Retry` or at its time limit: its events then wait, and no attempt counts."""

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ConfigurationError(f"max_attempts is {self.max_attempts}, should be at least 1")
        if not self.retry_delays_s or not all(0 <= delay_s <= DELAY_MAX_S for delay_s in self.retry_delays_s):
            raise ConfigurationError(
                f"retry_delay_s is {self.retry_delays_s}, should be one or more times in seconds, none negative or beyond a hundred years"
            )
        if self.time_limit_s is not None and not 0 < self.time_limit_s <= DELAY_MAX_S:
            raise ConfigurationError(f"time_limit_s is {self.time_limit_s}, should be more than 0 and at most a hundred years, or None")

    @property
    def breaker_counts(self) -> tuple[type[Exception], ...]:
        """Errors that say that what the handler needs is not well."""
        return (*self.retry_on, Retry, TimeLimitExceeded)

    def next_delay_s(self, attempt: int, error: BaseException) -> float | None:
        """Seconds until the attempt after this one (from 1), which ended with `error`; None when there is none."""
        if attempt >= self.max_attempts or isinstance(error, _FINAL):
            return None
        if isinstance(error, Retry):
            return self._delay_s(attempt) if error.delay_s is None else error.delay_s
        return self._delay_s(attempt) if isinstance(error, self.retry_on) else None

    def jittered_within_s(self, attempt: int, error: BaseException | None) -> float | None:
        """The most seconds jitter could have drawn for the delay after this attempt; None where it drew none."""
        is_own = isinstance(error, Retry) and error.delay_s is not None
        return self._whole_delay_s(attempt) if self.retry_jitter and not is_own else None

    def _whole_delay_s(self, attempt: int) -> float:
        return self.retry_delays_s[min(attempt, len(self.retry_delays_s)) - 1]

    def _delay_s(self, attempt: int) -> float:
        delay_s = self._whole_delay_s(attempt)
        return random.uniform(0.0, delay_s) if self.retry_jitter else delay_s  # noqa: S311 - no secret


def failure_of(error: BaseException) -> Failure:
    """The failure a last error stands for: for `Retry` and `DoNotRetry`, the one they were raised from."""
    kind = type(error).__name__
    if isinstance(error, Retry | DoNotRetry):
        # `from None` says that what was being handled is not why.
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            return failure_of(cause)
        kind = _TOO_OFTEN if isinstance(error, Retry) else kind
    lines = "".join(traceback.format_exception(error))
    return Failure(kind=kind, message=_head(_text(error), MESSAGE_MAX_BYTES), traceback=_tail(lines, TRACEBACK_MAX_BYTES))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything, and the outcome must still be told
        return "(its text could not be made)"


def _head(text: str, max_bytes: int) -> str:
    encoded = text.encode(errors="replace")
    return encoded.decode() if len(encoded) <= max_bytes else encoded[: max_bytes - 3].decode(errors="ignore") + "…"


def _tail(text: str, max_bytes: int) -> str:
    # The end of a traceback says most: the last frames and the error.
    encoded = text.encode(errors="replace")
    return encoded.decode() if len(encoded) <= max_bytes else "…" + encoded[3 - max_bytes :].decode(errors="ignore")
