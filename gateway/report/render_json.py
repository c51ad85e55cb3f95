"""The report for programs."""

from __future__ import annotations

import msgspec

from dualrun.contracts import JsonObject
from gateway.core.comparison import Verdict
from gateway.core.report import DifferenceGroup, Latency, ShadowReport
from gateway.report.summary import TaskSummary, summarise
from gateway.report.words import DIFFERENCES

__all__ = ["render_json"]


def render_json(report: ShadowReport) -> str:
    """One JSON object: the headline, and per task every verdict's count, bounds, latencies and groups, the worst first."""
    summary = summarise(report)
    document = {
        "headline": summary.headline,
        "tone": str(summary.tone),
        "since": report.since,
        "until": report.until,
        "generated_at": report.generated_at,
        "tasks": [_task(task) for task in summary.tasks],
    }
    return msgspec.json.encode(document).decode()


def _task(task: TaskSummary) -> JsonObject:
    report = task.report
    return {
        "task": report.task,
        "headline": task.headline,
        "tone": str(task.tone),
        "counts": {str(verdict): report.counts.get(verdict, 0) for verdict in Verdict},
        "pending": report.pending,
        "compared": report.compared,
        "same": report.same,
        "different": report.different,
        "match_ratio": task.match_ratio,
        "mismatch_bound": task.mismatch_bound,
        "mismatch": task.bound,
        "latency": {"authority": _latency(report.authority_latency), "shadow": _latency(report.shadow_latency)},
        "groups": [_group(group) for group in (*task.groups, *task.hidden)],
    }


def _latency(latency: Latency) -> JsonObject:
    return {"count": latency.count, "p50_ms": latency.p50_ms, "p95_ms": latency.p95_ms, "p99_ms": latency.p99_ms}


def _group(group: DifferenceGroup) -> JsonObject:
    return {
        "fingerprint": group.fingerprint,
        "aspect": str(group.aspect),
        "kind": str(group.kind),
        "path": group.path,
        "says": DIFFERENCES[group.kind],
        "count": group.count,
        "ignored_by": group.ignored_by,
        "first_seen": group.first_seen.isoformat(),
        "last_seen": group.last_seen.isoformat(),
        "samples": [
            {"submission_id": sample.submission_id, "authority": sample.authority, "shadow": sample.shadow} for sample in group.samples
        ],
    }
