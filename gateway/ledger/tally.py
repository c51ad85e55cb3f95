"""What storing comparisons adds to the counters and groups: pure, the same for every ledger."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

from dualrun.contracts import Outcome, Role, State
from gateway.core.activity import STEPS_S, Series, series_of, series_of_verdict, step_of_moment
from gateway.core.comparison import Comparison, Difference, Verdict
from gateway.core.grouping import first_of_each_group
from gateway.core.latency import bucket_of_ms
from gateway.core.moment import as_utc, hour_of
from gateway.core.report import Sample
from gateway.core.skew import skew_bucket
from gateway.core.step_evidence import ratio_bin

__all__ = [
    "DROPPED",
    "FLOOR_MS",
    "RAN_AGAIN",
    "RATIO",
    "SAMPLES_KEPT",
    "UNANSWERED",
    "UNKNOWN",
    "ActivityKey",
    "GroupHour",
    "GroupKey",
    "GroupTally",
    "Tally",
    "executions",
    "is_rerun",
    "rerun_name",
    "slot_for",
    "tally",
    "tally_of_judgements",
]

SAMPLES_KEPT = 5
RATIO = "ratio"
DROPPED, UNKNOWN, UNANSWERED = "dropped", "unknown", "unanswered"
RAN_AGAIN = "ran_again"
_AT_MOST = 1_000_000
"""Of one pair: a number a worker makes up must not fill the counter."""
_LONGEST_MS = 1e12
FLOOR_MS = 1.0
"""Below this, twice as long is no finding."""

GroupKey = tuple[str, str]
"""Fingerprint, and the rule that ignores it ("" for none)."""
ActivityKey = tuple[str, int, datetime, Series]
"""Task, length of the step in seconds, its beginning, and what is counted."""
GroupHour = tuple[datetime, int, str]
"""Hour, flag version and cohort."""


@dataclass(slots=True)
class GroupTally:
    """What one batch adds to one difference group."""

    task: str
    difference: Difference
    first_seen: datetime
    last_seen: datetime
    hours: Counter[GroupHour] = field(default_factory=Counter)
    """Below 0 where a judgement was taken back."""
    samples: list[Sample] = field(default_factory=list)
    cohort_keys: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        return sum(self.hours.values())


@dataclass(slots=True)
class Tally:
    """What one batch adds to everything that is counted."""

    verdicts: Counter[tuple[str, datetime, int, str, Verdict]] = field(default_factory=Counter)
    """Task, hour, flag version, cohort and verdict."""
    skews: Counter[tuple[str, int, bool]] = field(default_factory=Counter)
    """Task, bucket, and whether the pair differs."""
    latencies: Counter[tuple[str, Role, datetime, int]] = field(default_factory=Counter)
    ratios: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    groups: dict[GroupKey, GroupTally] = field(default_factory=dict)
    cohort_keys: dict[str, set[str]] = field(default_factory=dict)
    """By task."""
    nodes: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    """Task, path, measure (a role, or `RATIO`) and bucket."""
    controls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Task and fingerprint; an empty one counts the pairs."""
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Task, and `DROPPED` answers, `UNKNOWN` or `UNANSWERED` calls."""
    matches: Counter[ActivityKey] = field(default_factory=Counter)
    """Pairs that are the same, and that are different."""


def tally(stored: Iterable[Comparison], replaced: Iterable[Comparison]) -> Tally:
    """The sum over comparisons newly stored, less those (missing, so without differences or pairs of times) they stand in for."""
    stored = list(stored)
    total = tally_of_judgements(stored, replaced)
    for comparison in stored:
        if comparison.control:
            continue
        _add_latencies(total, comparison)
        _add_nodes(total, comparison)
        answers = (DROPPED, comparison.answers_dropped), (UNKNOWN, comparison.calls_unknown), (UNANSWERED, comparison.calls_unanswered)
        for what, n in answers:
            if n > 0:
                total.answers[comparison.task, what] += min(n, _AT_MOST)
        bin_ = ratio_bin(comparison)
        if bin_ is not None:
            total.ratios[comparison.task, comparison.flag_version, bin_] += 1
        if comparison.cohort_key:
            total.cohort_keys.setdefault(comparison.task, set()).add(comparison.cohort_key)
    return total


def tally_of_judgements(stored: Iterable[Comparison], replaced: Iterable[Comparison]) -> Tally:
    """Verdicts and groups alone: what changes when a pair is judged again."""
    total = Tally()
    for old in replaced:
        if old.control:
            _add_control(total, old, -1)
            continue
        total.verdicts[_verdict_key(old)] -= 1
        _add_match(total, old, -1)
        _add_skew(total, old, -1)
        for key, difference in first_of_each_group(old).items():
            _group(total, key, old, difference).hours[_group_hour(old)] -= 1
    for comparison in stored:
        if comparison.control:
            _add_control(total, comparison, 1)
            continue
        total.verdicts[_verdict_key(comparison)] += 1
        _add_match(total, comparison, 1)
        _add_skew(total, comparison, 1)
        for key, difference in first_of_each_group(comparison).items():
            _add_to_group(total, key, comparison, difference)
    return total


def executions(outcomes: Iterable[Outcome]) -> Mapping[ActivityKey, tuple[int, float]]:
    """How many executions ended in each step, and their times added up."""
    total: dict[ActivityKey, tuple[int, float]] = {}
    for outcome in outcomes:
        elapsed_ms = min(max(outcome.elapsed_ms, 0.0), _LONGEST_MS) if outcome.elapsed_ms == outcome.elapsed_ms else 0.0
        counted = [series_of(outcome.side, outcome.role)]
        if outcome.state is State.DEAD_LETTERED:
            counted.append(Series.DEAD_LETTERED)
        for step_s, series in product(STEPS_S, counted):
            key = outcome.task, step_s, step_of_moment(outcome.ended_at, step_s), series
            n, total_ms = total.get(key, (0, 0.0))
            total[key] = n + 1, total_ms + elapsed_ms
    return total


def is_rerun(stored: Outcome, come: Outcome) -> bool:
    """Whether an outcome that came second is of another run, and not the same record once more."""
    return rerun_name(come) != rerun_name(stored)


def rerun_name(outcome: Outcome) -> str:
    """What tells the runs of one submission apart: where it ran, and from when on."""
    return f"{outcome.worker.replace(chr(10), ' ')} {as_utc(outcome.started_at).isoformat()}"


def slot_for(key: GroupKey, submission_id: str, seen: int) -> int | None:
    """The slot the `seen`-th (from 1) member of a group takes among its samples, or None.

    The first five fill the slots; after that each member gets in with probability 5 / seen, so that at any time the samples are a uniform
    choice (Vitter's algorithm R). The draw is a hash of the group and the submission: telling the same story twice tells it the same.
    """
    if seen <= SAMPLES_KEPT:
        return seen - 1
    digest = hashlib.blake2b("\0".join((*key, submission_id)).encode("utf-8", "backslashreplace"), digest_size=8).digest()
    draw = int.from_bytes(digest, "big") * seen >> 64
    return draw if draw < SAMPLES_KEPT else None


def _verdict_key(comparison: Comparison) -> tuple[str, datetime, int, str, Verdict]:
    return comparison.task, hour_of(comparison.compared_at), comparison.flag_version, comparison.cohort, comparison.verdict


def _add_skew(total: Tally, comparison: Comparison, times: int) -> None:
    verdict = comparison.verdict
    if comparison.skew_ms is not None and (verdict.is_same or verdict.is_different):
        total.skews[comparison.task, skew_bucket(comparison.skew_ms), verdict.is_different] += times


def _add_match(total: Tally, comparison: Comparison, times: int) -> None:
    series = series_of_verdict(comparison.verdict)
    if series is not None:
        for step_s in STEPS_S:
            total.matches[comparison.task, step_s, step_of_moment(comparison.compared_at, step_s), series] += times


def _add_latencies(total: Tally, comparison: Comparison) -> None:
    # Only where both are known: two histograms of different submissions say nothing side by side.
    if comparison.authority_ms is None or comparison.shadow_ms is None:
        return
    hour = hour_of(comparison.compared_at)
    for role, elapsed_ms in ((Role.AUTHORITY, comparison.authority_ms), (Role.SHADOW, comparison.shadow_ms)):
        total.latencies[comparison.task, role, hour, bucket_of_ms(elapsed_ms)] += 1


def _add_control(total: Tally, comparison: Comparison, times: int) -> None:
    if not (comparison.verdict.is_same or comparison.verdict.is_different):
        return
    seen = {key for key, ignored_by in first_of_each_group(comparison) if not ignored_by}
    for fingerprint in ("", *sorted(seen)):
        total.controls[comparison.task, fingerprint] += times


def _add_nodes(total: Tally, comparison: Comparison) -> None:
    for path, authority_ms, shadow_ms in comparison.node_times:
        ratio = max(shadow_ms, FLOOR_MS) / max(authority_ms, FLOOR_MS)
        for measure, value in ((str(Role.AUTHORITY), authority_ms), (str(Role.SHADOW), shadow_ms), (RATIO, ratio)):
            total.nodes[comparison.task, path, measure, bucket_of_ms(value)] += 1


def _group(total: Tally, key: GroupKey, comparison: Comparison, difference: Difference) -> GroupTally:
    seen = as_utc(comparison.compared_at)
    group = total.groups.get(key)
    if group is None:
        group = total.groups[key] = GroupTally(comparison.task, difference, first_seen=seen, last_seen=seen)
    return group


def _group_hour(comparison: Comparison) -> GroupHour:
    return hour_of(comparison.compared_at), comparison.flag_version, comparison.cohort


def _add_to_group(total: Tally, key: GroupKey, comparison: Comparison, difference: Difference) -> None:
    seen, group = as_utc(comparison.compared_at), _group(total, key, comparison, difference)
    group.first_seen, group.last_seen = min(group.first_seen, seen), max(group.last_seen, seen)
    group.hours[_group_hour(comparison)] += 1
    if comparison.cohort_key:
        group.cohort_keys.add(comparison.cohort_key)
    group.samples.append(
        Sample(
            submission_id=comparison.submission_id,
            authority=difference.authority,
            shadow=difference.shadow,
            flag_version=comparison.flag_version,
        )
    )
