"""A submission and the decision taken for it, fixed once."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dualrun.contracts.values import JsonObject, JsonValue
from dualrun.contracts.words import Mode, Reason, Role, Side

__all__ = ["Decision", "Options", "Submission", "SubmissionRecord", "Work"]


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
    """What the buckets hash; the submission's id where the caller gives none."""
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


class SubmissionRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="submission"):
    """A submission with its decision, as it is put on record."""

    submission: Submission
    decision: Decision


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One side's share of a submission: what a dispatcher hands over."""

    submission: Submission
    decision: Decision
    side: Side
    role: Role
