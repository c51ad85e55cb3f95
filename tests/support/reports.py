"""Reports with something in them."""

from __future__ import annotations

from collections.abc import Mapping

from dualrun.contracts import JsonValue
from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from gateway.core.report import DifferenceGroup, Latency, Sample, ShadowReport, TaskReport
from tests.support.records import NOON

__all__ = ["a_group", "a_report", "a_task"]


def a_group(
    path: str = "/value/total",
    *,
    task: str = "shop.charge",
    aspect: Aspect = Aspect.VALUE,
    kind: DifferenceKind = DifferenceKind.VALUE,
    count: int = 12,
    ignored_by: str | None = None,
    samples: tuple[tuple[JsonValue, JsonValue], ...] = ((1, 2),),
) -> DifferenceGroup:
    """A group with samples s0, s1, ..."""
    return DifferenceGroup(
        fingerprint="0123456789abcdef",
        task=task,
        aspect=aspect,
        kind=kind,
        path=path,
        count=count,
        ignored_by=ignored_by,
        first_seen=NOON,
        last_seen=NOON,
        samples=tuple(Sample(submission_id=f"s{n}", authority=ours, shadow=theirs) for n, (ours, theirs) in enumerate(samples)),
    )


def a_task(
    task: str = "shop.charge", counts: Mapping[Verdict, int] | None = None, *groups: DifferenceGroup, pending: int = 0
) -> TaskReport:
    """A task whose shadow takes twice as long."""
    return TaskReport(
        task=task,
        counts=counts or {},
        pending=pending,
        authority_latency=Latency(count=1_000, p50_ms=12.3, p95_ms=48.1, p99_ms=212.0),
        shadow_latency=Latency(count=1_000, p50_ms=24.6, p95_ms=96.2, p99_ms=1_424.0),
        groups=groups,
    )


def a_report(*tasks: TaskReport) -> ShadowReport:
    """Of no window."""
    return ShadowReport(generated_at=NOON, tasks=tasks)
