"""An outcome: what one side did with one submission."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dualrun.contracts.effect import Effect, GeneratedKey
from dualrun.contracts.values import JsonObject, JsonValue
from dualrun.contracts.words import Role, Side, State

__all__ = ["Failure", "Outcome", "SpanRecord"]


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a side did not succeed."""

    kind: str
    """The error's class name without its module, `OutOfStock`: stable across both sides."""
    message: str = ""
    """For people; not compared unless a rule asks for it."""
    traceback: str | None = None


class SpanRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished span of an execution, compacted."""

    name: str
    span_id: str
    parent_id: str | None = None
    kind: str = "internal"
    offset_ms: float = 0.0
    """Start, counted from the start of the execution."""
    duration_ms: float = 0.0
    status: str = "unset"
    """OpenTelemetry's status code in lower case: unset, ok or error."""
    attributes: JsonObject = msgspec.field(default_factory=dict)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="outcome"):
    """What one side did with one submission, all attempts together.

    The first outcome of a (submission, role) counts; later ones change nothing.
    """

    submission_id: str
    task: str
    side: Side
    role: Role
    state: State
    value: JsonValue = None
    """What the task returned; meaningful only when it succeeded. kombu's typed objects stay as they are on the wire."""
    failure: Failure | None = None
    effects: tuple[Effect, ...] = ()
    """The effects of the attempt that ended it."""
    effects_dropped: int = 0
    """Effects beyond the bound: counted, not kept."""
    generated: tuple[GeneratedKey, ...] = ()
    """Keys the database gave to rows of that attempt, the first of them: where the sides differ in one of the same name, they agree."""
    spans: tuple[SpanRecord, ...] = ()
    spans_dropped: int = 0
    answers_dropped: int = 0
    """Of an authority with a shadow: answers of the outside that could not be kept for it, and recordings of earlier runs
    that were lost."""
    calls_unknown: int = 0
    """Of a shadow that had answers: calls the authority never made, or not as often, or whose answer was not kept."""
    calls_unanswered: int = 0
    """Of a shadow: calls answered in place without the authority's answer, since nothing of what that was answered was known yet; and
    statements that waited in vain for a lock."""
    connections_uncaptured: tuple[str, ...] = ()
    """Of an authority: where it connected or sent past every capture, `host:port` or a path, 20 at most. What it did there is not known."""
    canvas: tuple[str, ...] = ()
    """What of Celery's canvas the run used to start its children: `chain`, `chord`, `group`, `link`, `link_error`."""
    attempts: int = 1
    """1 means it ended at the first attempt."""
    retry_delays_s: tuple[float, ...] = ()
    """Seconds each further attempt was asked to wait, in order; fewer than `attempts - 1` where not all are known."""
    retry_within_s: tuple[float, ...] = ()
    """Where jitter drew any of these delays: the most each could have been."""
    queued_ms: float | None = None
    """From the submission (or its eta) to the start; None where either clock is unknown."""
    elapsed_ms: float
    """Execution of the last attempt, by a monotonic clock."""
    started_at: datetime
    ended_at: datetime
    worker: str
    """Which worker: `host:pid`."""
    flag_version: int
