"""What a shadow report holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dualrun.contracts import Decision, JsonValue, Outcome, Submission
from gateway.core.comparison import Aspect, Comparison, DifferenceKind, Verdict

__all__ = ["DifferenceGroup", "Latency", "Sample", "ShadowReport", "SubmissionView", "TaskReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One pair in which a group's difference was seen."""

    submission_id: str
    authority: JsonValue
    shadow: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceGroup:
    """Differences with one fingerprint (task, aspect, path, kind), counted."""

    fingerprint: str
    task: str
    aspect: Aspect
    kind: DifferenceKind
    path: str
    count: int
    """Submissions in which it was seen, not occurrences."""
    ignored_by: str | None = None
    first_seen: datetime
    last_seen: datetime
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Execution times of one role, from a log-scale histogram (quantiles within 5 %)."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """The shadow of one task, over a window."""

    task: str
    counts: Mapping[Verdict, int] = field(default_factory=dict)
    pending: int = 0
    """Pairs whose deadline has not passed and whose second outcome has not come."""
    authority_latency: Latency
    shadow_latency: Latency
    groups: tuple[DifferenceGroup, ...] = ()

    @property
    def compared(self) -> int:
        return sum(n for verdict, n in self.counts.items() if verdict.is_same or verdict.is_different)

    @property
    def same(self) -> int:
        return sum(n for verdict, n in self.counts.items() if verdict.is_same)

    @property
    def different(self) -> int:
        return self.compared - self.same


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """Every shadowed task, over a window; None as a bound means open."""

    since: datetime | None
    until: datetime | None
    generated_at: datetime
    tasks: tuple[TaskReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionView:
    """Everything known of one submission."""

    submission: Submission
    decision: Decision
    authority: Outcome | None = None
    shadow: Outcome | None = None
    comparison: Comparison | None = None
