"""From counted steps to points in order of time. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gateway.core.activity import ActivityPoint, Series

__all__ = ["points_of"]


def points_of(counted: Iterable[tuple[str, datetime, Series, int, float]]) -> Mapping[str, Sequence[ActivityPoint]]:
    """Per task, its points in order; what was counted and taken back again is none."""
    counts: dict[tuple[str, datetime], dict[Series, int]] = defaultdict(dict)
    totals: dict[tuple[str, datetime], dict[Series, float]] = defaultdict(dict)
    for task, at, series, n, total_ms in counted:
        if n > 0:
            counts[task, at][series] = n
            totals[task, at][series] = total_ms
    points: dict[str, list[ActivityPoint]] = defaultdict(list)
    for task, at in sorted(counts):
        points[task].append(ActivityPoint(at, counts[task, at], totals[task, at]))
    return points
