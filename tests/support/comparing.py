"""Outcomes to compare, and what the comparison found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dualrun.contracts import Effect, Failure, JsonValue, Outcome, Role, Side, State
from gateway.comparison import TaskRules, compare_outcomes
from gateway.core.comparison import Difference, Verdict

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
Result = tuple[Verdict, tuple[Difference, ...]]


def an_outcome(
    role: Role,
    value: JsonValue = None,
    *,
    effects: Sequence[Effect] = (),
    state: State = State.SUCCEEDED,
    error: str | None = None,
    started_at: datetime = START,
    effects_dropped: int = 0,
    side: Side | None = None,
) -> Outcome:
    return Outcome(
        submission_id="0",
        task="shop.task",
        side=side or (Side.LEGACY if role is Role.AUTHORITY else Side.EVENTS),
        role=role,
        state=state if error is None else State.FAILED,
        value=value,
        failure=Failure(kind=error, message=f"from {role}") if error is not None else None,
        effects=tuple(effects),
        effects_dropped=effects_dropped,
        elapsed_ms=10.0,
        started_at=started_at,
        ended_at=started_at + timedelta(milliseconds=10),
        worker="w:1",
        flag_version=1,
    )


def compared(
    authority: JsonValue, shadow: JsonValue, rules: TaskRules | None = None, *, given: JsonValue = None, lag_s: float = 0
) -> Result:
    """Two values of tasks that succeeded; the shadow started `lag_s` later."""
    later = START + timedelta(seconds=lag_s)
    ours, theirs = an_outcome(Role.AUTHORITY, authority), an_outcome(Role.SHADOW, shadow, started_at=later)
    return compare_outcomes(ours, theirs, rules or TaskRules(), given=given)


def effects_compared(authority: Sequence[Effect], shadow: Sequence[Effect], rules: TaskRules | None = None) -> Result:
    ours, theirs = an_outcome(Role.AUTHORITY, effects=authority), an_outcome(Role.SHADOW, effects=shadow)
    return compare_outcomes(ours, theirs, rules or TaskRules())


def found(result: Result) -> list[tuple[str, str]]:
    """Kind and path of each difference."""
    return [(difference.kind.value, difference.path) for difference in result[1]]
