"""The report for programs."""

from __future__ import annotations

import msgspec

from dualrun.contracts import JsonObject
from gateway.core.comparison import Verdict
from gateway.core.report import DifferenceGroup, Latency, NodeTime, ShadowReport
from gateway.core.skew import SkewCount
from gateway.report.suggestion import Suggestion, suggestion_for
from gateway.report.summary import TaskSummary, summarise
from gateway.report.words import DIFFERENCES

__all__ = ["group_json", "render_json"]


def render_json(report: ShadowReport) -> str:
    """One JSON object: the headline, and per task every verdict's count, bounds, latencies and groups, the worst first."""
    summary = summarise(report)
    document = {
        "headline": summary.headline,
        "tone": str(summary.tone),
        "since": report.scope.since,
        "until": report.scope.until,
        "flag_version": report.scope.flag_version,
        "cohort": report.scope.cohort,
        "cohort_key": report.scope.cohort_key,
        "pairs_left_out": report.pairs_left_out,
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
        "standing": str(task.advice.standing),
        "verdict": task.advice.text,
        "because": list(task.advice.because),
        "counts": {str(verdict): report.counts.get(verdict, 0) for verdict in Verdict},
        "pending": report.pending,
        "compared": report.compared,
        "same": report.same,
        "different": report.different,
        "match_ratio": task.match_ratio,
        "mismatch_bound": task.mismatch_bound,
        "mismatch": task.bound,
        "latency": {"authority": _latency(report.authority_latency), "shadow": _latency(report.shadow_latency)},
        "by_flag_version": {
            str(version): {str(verdict): n for verdict, n in counts.items()} for version, counts in sorted(report.by_flag_version.items())
        },
        "by_cohort": {cohort: {str(verdict): n for verdict, n in counts.items()} for cohort, counts in sorted(report.by_cohort.items())},
        "by_skew": [_skew(count) for count in report.by_skew],
        "cohorts": report.cohorts,
        "nodes": [_node(node) for node in report.nodes],
        "calls_unknown": report.calls_unknown,
        "calls_unanswered": report.calls_unanswered,
        "answers_dropped": report.answers_dropped,
        "ran_again": report.ran_again,
        "control_runs": report.controls.get("", 0),
        "groups": [{**group_json(group, report.cohorts), "noise": _noise(task, group)} for group in (*task.groups, *task.hidden)],
    }


def _noise(task: TaskSummary, group: DifferenceGroup) -> JsonObject | None:
    judged = task.noise.get(group.fingerprint)
    if judged is None or group.ignored_by is not None:
        return None
    suggestion = suggestion_for(group, judged)
    return {
        "standing": str(judged.standing),
        "says": task.noise_in_words(group),
        "control_rate": judged.control_rate,
        "excess": judged.excess,
        "p_value": judged.p_value,
        "ignore": suggestion is Suggestion.IGNORE,
        "suggest": None if suggestion is None else str(suggestion),
    }


def _node(node: NodeTime) -> JsonObject:
    return {
        "path": node.path,
        "pairs": node.pairs,
        "authority_ms": node.authority_ms,
        "shadow_ms": node.shadow_ms,
        "ratio": node.ratio,
    }


def _skew(count: SkewCount) -> JsonObject:
    return {"at_least_ms": count.at_least_ms, "at_most_ms": count.at_most_ms, "pairs": count.pairs, "different": count.different}


def _latency(latency: Latency) -> JsonObject:
    return {"count": latency.count, "p50_ms": latency.p50_ms, "p95_ms": latency.p95_ms, "p99_ms": latency.p99_ms}


def group_json(group: DifferenceGroup, cohorts: int = 0) -> JsonObject:
    """A group as JSON; `cohorts` is how many cohort keys its task has."""
    note = group.triage_note
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
        "triage": str(group.triage),
        "triage_note": None
        if note is None
        else {"state": str(note.state), "author": note.author, "note": note.note, "said_at": note.said_at.isoformat()},
        "cohorts": group.cohorts,
        "cohort_share": min(1.0, group.cohorts / cohorts) if cohorts else None,
        "trend": list(group.trend),
        "samples": [
            {
                "submission_id": sample.submission_id,
                "flag_version": sample.flag_version,
                "authority": sample.authority,
                "shadow": sample.shadow,
            }
            for sample in group.samples
        ],
    }
