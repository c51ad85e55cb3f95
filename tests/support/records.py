"""Builders of records: what a test does not name is ordinary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dualrun.contracts import (
    Decision,
    Failure,
    JsonValue,
    Mode,
    Options,
    Outcome,
    Reason,
    Role,
    Safety,
    Side,
    State,
    Submission,
    SubmissionRecord,
)
from gateway.core.comparison import Aspect, Comparison, Difference, DifferenceKind, Verdict

__all__ = ["NOON", "a_comparison", "a_difference", "a_record", "an_outcome"]

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def a_record(
    submission_id: str = "s1",
    *,
    task: str = "shop.charge",
    shadow: Side | None = Side.EVENTS,
    shadow_delay_s: int = 0,
    safety: Safety | None = None,
    submitted_at: datetime = NOON,
    eta: datetime | None = None,
    kwargs: dict[str, JsonValue] | None = None,
    args: tuple[JsonValue, ...] = (),
) -> SubmissionRecord:
    """A submission whose authority is legacy, shadowed unless told otherwise."""
    submission = Submission(
        id=submission_id,
        task=task,
        args=args,
        kwargs=kwargs or {},
        options=Options(eta=eta),
        cohort_key=submission_id,
        submitted_at=submitted_at,
    )
    decision = Decision(
        mode=Mode.SHADOW,
        authority=Side.LEGACY,
        shadow=shadow,
        reason=Reason.BY_MODE,
        bucket=None,
        flag_version=7,
        shadow_delay_s=shadow_delay_s,
        safety=safety,
    )
    return SubmissionRecord(submission=submission, decision=decision)


def an_outcome(
    submission_id: str = "s1",
    role: Role = Role.AUTHORITY,
    *,
    task: str = "shop.charge",
    value: JsonValue = None,
    failure: Failure | None = None,
    started_at: datetime = NOON,
    elapsed_ms: float = 10.0,
) -> Outcome:
    """An outcome of one role; it succeeded unless it has a failure."""
    return Outcome(
        submission_id=submission_id,
        task=task,
        side=Side.LEGACY if role is Role.AUTHORITY else Side.EVENTS,
        role=role,
        state=State.SUCCEEDED if failure is None else State.FAILED,
        value=value,
        failure=failure,
        elapsed_ms=elapsed_ms,
        started_at=started_at,
        ended_at=started_at + timedelta(milliseconds=elapsed_ms),
        worker="host:1",
        flag_version=7,
    )


def a_difference(
    path: str = "/value/total",
    *,
    aspect: Aspect = Aspect.VALUE,
    kind: DifferenceKind = DifferenceKind.VALUE,
    authority: JsonValue = 1,
    shadow: JsonValue = 2,
    ignored_by: str | None = None,
) -> Difference:
    """A value that differs."""
    return Difference(aspect=aspect, kind=kind, path=path, authority=authority, shadow=shadow, ignored_by=ignored_by)


def a_comparison(
    submission_id: str = "s1",
    verdict: Verdict = Verdict.EQUAL,
    *differences: Difference,
    task: str = "shop.charge",
    missing: str | None = None,
    authority_ms: float | None = 10.0,
    shadow_ms: float | None = 20.0,
    compared_at: datetime = NOON,
) -> Comparison:
    """A comparison of a pair both of whose times are known."""
    return Comparison(
        submission_id=submission_id,
        task=task,
        verdict=verdict,
        differences=differences,
        missing=missing,
        authority_ms=authority_ms,
        shadow_ms=shadow_ms,
        skew_ms=None if authority_ms is None or shadow_ms is None else 1.5,
        ruleset_version="r1",
        flag_version=7,
        compared_at=compared_at,
    )
