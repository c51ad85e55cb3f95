"""When two runs were tried: how often, how long apart, and whether one of them began before its time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from dualrun.contracts import EffectKind, JsonValue, Outcome, State
from gateway.core.comparison import DifferenceKind
from gateway.core.moment import as_utc

__all__ = ["ScheduleSink", "compare_schedules", "same_schedule"]

DELAY_ABSOLUTE_S = 1.0
DELAY_RELATIVE = 0.1
"""Delays of retries may differ by the larger of both without a rule: clocks, and delays read back from an eta."""
_CLOCK_SLACK = timedelta(seconds=1)


class ScheduleSink(Protocol):
    """Takes differences of schedule."""

    def add(self, kind: DifferenceKind, path: str, authority: JsonValue, shadow: JsonValue) -> None: ...


def same_schedule(authority: Outcome, shadow: Outcome) -> bool:
    """Whether both ended at the first attempt: nothing but their eta is then to be compared."""
    return authority.attempts == shadow.attempts == 1


def compare_schedules(authority: Outcome, shadow: Outcome, eta: datetime | None, sink: ScheduleSink) -> None:
    """Attempts, the delays between them where both sides know all of theirs, and an eta that one side did not wait for.

    A late start is no difference: it says how busy the workers were. Nor is it one that a shadow needs fewer attempts where a call of its
    was answered without the refusals the authority got for it.
    """
    if authority.attempts != shadow.attempts:
        if not _was_spared(authority, shadow):
            sink.add(DifferenceKind.ATTEMPTS, "/schedule/attempts", authority.attempts, shadow.attempts)
    elif len(authority.retry_delays_s) == len(shadow.retry_delays_s) == authority.attempts - 1:
        for ours, theirs in zip(_delays_asked(authority), _delays_asked(shadow), strict=True):
            if abs(ours - theirs) > max(DELAY_ABSOLUTE_S, DELAY_RELATIVE * max(ours, theirs)):
                sink.add(DifferenceKind.RETRY_DELAY, "/schedule/delays/[*]", ours, theirs)
    early = (None, None) if eta is None else (_early_s(authority, eta), _early_s(shadow, eta))
    if (early[0] is None) != (early[1] is None):
        sink.add(DifferenceKind.EARLY, "/schedule/eta", early[0], early[1])


def _delays_asked(outcome: Outcome) -> tuple[float, ...]:
    """The delays; where full jitter drew them, what it drew them from.

    Two draws from 0 to 8 s say nothing of one another, and that both lie there would be true of a side without backoff as well. What they
    were drawn from is the policy itself. Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, which
    Celery's `retry_jitter` and the handlers' follow.
    """
    return outcome.retry_within_s if len(outcome.retry_within_s) == len(outcome.retry_delays_s) else outcome.retry_delays_s


_NOT_REFUSED = frozenset({EffectKind.SQL, EffectKind.HTTP, EffectKind.CACHE, EffectKind.OBJECT, EffectKind.MESSAGE, EffectKind.FILE})
"""A held-back effect of these kinds spares a shadow nothing by itself. SQL is performed and rolled back; HTTP, Redis and objects are
answered what the authority was in the same attempt, refusals too, and counted where they could not be; and brokers and disks are there
for both sides."""


def _was_spared(authority: Outcome, shadow: Outcome) -> bool:
    if shadow.attempts >= authority.attempts or shadow.state is not State.SUCCEEDED:
        return False
    if shadow.calls_unanswered or shadow.calls_unknown:
        return True
    done = {(effect.kind, effect.key) for effect in authority.effects if effect.error is None}
    return any(
        not effect.performed and effect.error is None and effect.kind not in _NOT_REFUSED and (effect.kind, effect.key) in done
        for effect in shadow.effects
    )


def _early_s(outcome: Outcome, eta: datetime) -> float | None:
    """How long before its eta a run began; None where it waited. Of later attempts only their own start is known."""
    before = as_utc(eta) - as_utc(outcome.started_at)
    return round(before.total_seconds(), 3) if outcome.attempts == 1 and before > _CLOCK_SLACK else None
