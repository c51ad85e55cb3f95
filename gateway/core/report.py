"""What a shadow report holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from dualrun.contracts import Decision, JsonValue, Outcome, Redirected, Submission
from gateway.core.comparison import Aspect, Comparison, DifferenceKind, Verdict
from gateway.core.skew import SkewCount
from gateway.core.triage import TriageNote, TriageState

__all__ = [
    "KEY_PAIRS",
    "TREND_HOURS",
    "DifferenceGroup",
    "Latency",
    "NodeTime",
    "ReportScope",
    "Sample",
    "ShadowReport",
    "SubmissionView",
    "TaskReport",
    "added",
]


K = TypeVar("K")

TREND_HOURS = 24
KEY_PAIRS = 5_000
"""A report of one cohort key looks at so many pairs, the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportScope:
    """What a report is of: every comparison there is, unless something narrows it. None leaves a dimension open.

    Verdicts and groups are those of the scope; execution times are those of its tasks and hours, except by cohort key.
    """

    task: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    flag_version: int | None = None
    cohort: str | None = None
    """The targeting rule that decided; `""` for those no rule decided."""
    cohort_key: str | None = None
    """Answered from raw records: as far back as they are kept, and of the latest `KEY_PAIRS` pairs at most."""

    @property
    def is_all_time(self) -> bool:
        return self.since is None and self.until is None

    @property
    def counts_all(self) -> bool:
        """Whether nothing but a task narrows it: groups are then counted in full."""
        return self.is_all_time and self.flag_version is None and self.cohort is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One pair in which a group's difference was seen."""

    submission_id: str
    authority: JsonValue
    shadow: JsonValue
    flag_version: int = 0


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
    triage: TriageState = TriageState.OPEN
    triage_note: TriageNote | None = None
    """What was said last; a group that came again keeps what was said when it was called fixed."""
    cohorts: int = 0
    """Different cohort keys among the submissions, of all time; rounded beyond 128."""
    trend: tuple[int, ...] = ()
    """Submissions by the hour over the last `TREND_HOURS`, the present one last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Execution times of one role, from a log-scale histogram (quantiles within 5 %)."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTime:
    """One node of the traces, in pairs of executions that both have it: medians within 5 %."""

    path: str
    pairs: int
    authority_ms: float
    shadow_ms: float
    ratio: float
    """Median of the shadow's time over the authority's, both at least `FLOOR_MS`: 1 ms becoming 2 ms is no finding."""


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
    by_flag_version: Mapping[int, Mapping[Verdict, int]] = field(default_factory=dict)
    by_cohort: Mapping[str, Mapping[Verdict, int]] = field(default_factory=dict)
    """By targeting rule; `""` for those no rule decided."""
    by_skew: tuple[SkewCount, ...] = ()
    """Of all time, the smallest first."""
    cohorts: int = 0
    """Different cohort keys that were compared, of all time; rounded beyond 128."""
    controls: Mapping[str, int] = field(default_factory=dict)
    """Of the control runs, in how many each group was seen, by fingerprint; `""` counts the runs. Of all time."""
    nodes: tuple[NodeTime, ...] = ()
    """Where both sides spend their time, of all time; the longest first."""
    answers_dropped: int = 0
    """Answers the authority got that could not be kept for its shadow, of all time."""
    calls_unknown: int = 0
    """Calls of shadows their authority never made, of all time."""
    calls_unanswered: int = 0
    """Calls of shadows that were answered before anything of their authority's answers was known, of all time."""
    ran_again: int = 0
    """Outcomes of a second run of what had ended before, of all time: the first one counts."""

    @property
    def compared(self) -> int:
        return sum(n for verdict, n in self.counts.items() if verdict.is_same or verdict.is_different)

    @property
    def same(self) -> int:
        return sum(n for verdict, n in self.counts.items() if verdict.is_same)

    @property
    def different(self) -> int:
        return self.compared - self.same


def added(counts: Mapping[K, Mapping[Verdict, int]]) -> Mapping[Verdict, int]:
    """The counts of all flag versions, or of all cohorts, together."""
    total: Counter[Verdict] = Counter()
    for of_one in counts.values():
        total.update(of_one)
    return dict(total)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """Every shadowed task in the scope."""

    scope: ReportScope = ReportScope()
    generated_at: datetime
    tasks: tuple[TaskReport, ...]
    pairs_left_out: int = 0
    """Of a cohort key: pairs before the latest ones looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionView:
    """Everything known of one submission."""

    submission: Submission
    decision: Decision
    """The present one."""
    redirected: Redirected | None = None
    """Set where it is not the first: a flag change moved the submission before it started."""
    authority: Outcome | None = None
    shadow: Outcome | None = None
    comparison: Comparison | None = None
