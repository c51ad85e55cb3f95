"""A submission and the decision taken for it, fixed once."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from dualrun.contracts.values import JsonObject, JsonValue
from dualrun.contracts.words import Mode, Reason, Role, Safety, Side

__all__ = ["Decision", "Options", "Redirected", "Submission", "SubmissionRecord", "Work"]


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a task is to be run. Times are UTC; a countdown has become an eta by the time it stands here."""

    eta: datetime | None = None
    expires: datetime | None = None
    priority: int | None = None
    """0..9, 9 first: RabbitMQ's order. Celery on Redis counts the other way and is translated at its adapter."""
    queue: str | None = None
    """The legacy queue the caller names; None leaves it to Celery's own routes."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One request to run a task."""

    id: str
    """UUIDv7; idempotency key and correlation id on both sides."""
    task: str
    args: tuple[JsonValue, ...] = ()
    kwargs: JsonObject = msgspec.field(default_factory=dict)
    options: Options = Options()
    cohort_key: str
    """What the buckets hash: what the flag's `cohort_path` leads to, else what the caller gave, else the submission's id."""
    attributes: JsonObject = msgspec.field(default_factory=dict)
    """What the caller said of it beside the arguments (tenant, region): targeting rules look at it, the task does not get it."""
    submitted_at: datetime
    traceparent: str | None = None
    """W3C trace context of the submission: the parent of both sides' spans."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs a submission, and why. Taken once, before anything is published."""

    mode: Mode
    authority: Side
    shadow: Side | None
    reason: Reason
    bucket: int | None
    """Position on the rollout ring, 0 <= bucket < 100,000; None when the mode alone decided."""
    flag_version: int
    rule: str | None = None
    """The targeting rule that set mode and shares; None where the flag's own held."""
    shadow_delay_s: int = 0
    """How much later the shadow is to start."""
    safety: Safety | None = None
    """The flag's safety class, where there is a shadow; None of decisions taken before they said it."""


class Redirected(msgspec.Struct, frozen=True, kw_only=True):
    """That a flag change moved a submission which had not started. The decision beside it is the present one."""

    times: int
    """How often, this one included."""
    side: Side
    """Where it waited."""
    decided_under: int
    """The flag version of the decision before."""


class SubmissionRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="record", tag="submission"):
    """A submission with its decision, as it is put on record."""

    submission: Submission
    decision: Decision
    redirected: Redirected | None = None
    """None for the first decision."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One side's share of a submission: what a dispatcher hands over."""

    submission: Submission
    decision: Decision
    side: Side
    role: Role
    redirects: int = 0
    """How often it was redirected."""

    @property
    def eta(self) -> datetime | None:
        """When it is to start; None means at once. A shadow may be held back until the authority should have ended."""
        submission = self.submission
        eta = submission.options.eta
        if self.role is Role.AUTHORITY or not self.decision.shadow_delay_s:
            return eta
        return (eta or submission.submitted_at) + timedelta(seconds=self.decision.shadow_delay_s)
