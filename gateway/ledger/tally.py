"""What storing comparisons adds to the counters and groups: pure, the same for every ledger."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from dualrun.contracts import Role
from gateway.core.comparison import Comparison, Difference, Verdict
from gateway.core.grouping import first_of_each_group
from gateway.core.latency import bucket_of_ms
from gateway.core.moment import as_utc, hour_of
from gateway.core.report import Sample

__all__ = ["SAMPLES_KEPT", "GroupKey", "GroupTally", "Tally", "slot_for", "tally"]

SAMPLES_KEPT = 5

GroupKey = tuple[str, str]
"""Fingerprint, and the rule that ignores it ("" for none)."""


@dataclass(slots=True)
class GroupTally:
    """What one batch adds to one difference group."""

    task: str
    difference: Difference
    first_seen: datetime
    last_seen: datetime
    hours: Counter[datetime] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.samples)


@dataclass(slots=True)
class Tally:
    """What one batch adds to everything that is counted."""

    verdicts: Counter[tuple[str, datetime, int, Verdict]] = field(default_factory=Counter)
    latencies: Counter[tuple[str, Role, datetime, int]] = field(default_factory=Counter)
    groups: dict[GroupKey, GroupTally] = field(default_factory=dict)


def tally(stored: Iterable[Comparison], replaced: Iterable[Comparison]) -> Tally:
    """The sum over comparisons newly stored, less those (missing, so without differences or pairs of times) they stand in for."""
    total = Tally()
    for old in replaced:
        total.verdicts[_verdict_key(old)] -= 1
    for comparison in stored:
        total.verdicts[_verdict_key(comparison)] += 1
        _add_latencies(total, comparison)
        for key, difference in first_of_each_group(comparison).items():
            _add_to_group(total, key, comparison, difference)
    return total


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


def _verdict_key(comparison: Comparison) -> tuple[str, datetime, int, Verdict]:
    return comparison.task, hour_of(comparison.compared_at), comparison.flag_version, comparison.verdict


def _add_latencies(total: Tally, comparison: Comparison) -> None:
    # Only where both are known: two histograms of different submissions say nothing side by side.
    if comparison.authority_ms is None or comparison.shadow_ms is None:
        return
    hour = hour_of(comparison.compared_at)
    for role, elapsed_ms in ((Role.AUTHORITY, comparison.authority_ms), (Role.SHADOW, comparison.shadow_ms)):
        total.latencies[comparison.task, role, hour, bucket_of_ms(elapsed_ms)] += 1


def _add_to_group(total: Tally, key: GroupKey, comparison: Comparison, difference: Difference) -> None:
    seen = as_utc(comparison.compared_at)
    group = total.groups.get(key)
    if group is None:
        group = total.groups[key] = GroupTally(comparison.task, difference, first_seen=seen, last_seen=seen)
    group.first_seen, group.last_seen = min(group.first_seen, seen), max(group.last_seen, seen)
    group.hours[hour_of(seen)] += 1
    group.samples.append(
        Sample(submission_id=comparison.submission_id, authority=difference.authority, shadow=difference.shadow),
    )
