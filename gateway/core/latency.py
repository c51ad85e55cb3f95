"""A log-scale histogram: times as counters, quantiles within 5 %."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate

from gateway.core.report import Latency

__all__ = ["bucket_of_ms", "latency_of", "middle_of_ms"]

RATIO = 1.1
"""Each bucket ends at this many times its beginning; a bucket's middle is at most sqrt(1.1) - 1 = 4.9 % away from what is in it."""
_FLOOR_MS = 1e-3
_CEILING_MS = 1e12
_LOG_RATIO = math.log(RATIO)


def bucket_of_ms(elapsed_ms: float) -> int:
    """The bucket of a time: `RATIO ** (bucket - 1) < elapsed_ms <= RATIO ** bucket`. Below a microsecond all is one bucket."""
    if not elapsed_ms > _FLOOR_MS:
        elapsed_ms = _FLOOR_MS
    return math.ceil(math.log(min(elapsed_ms, _CEILING_MS)) / _LOG_RATIO)


def middle_of_ms(bucket: int) -> float:
    """The time a bucket stands for: the geometric middle of its bounds."""
    return float(RATIO ** (bucket - 0.5))


def latency_of(histogram: Mapping[int, int]) -> Latency:
    """Quantiles of a histogram (bucket -> count)."""
    count = sum(histogram.values())
    if count <= 0:
        return Latency(count=count, p50_ms=None, p95_ms=None, p99_ms=None)
    buckets = sorted(histogram)
    seen = list(accumulate(histogram[bucket] for bucket in buckets))
    # By rank: a report of hundreds of tasks asks for thousands of these.
    p50, p95, p99 = (middle_of_ms(buckets[bisect_left(seen, max(1, math.ceil(q * count)))]) for q in (0.50, 0.95, 0.99))
    return Latency(count=count, p50_ms=p50, p95_ms=p95, p99_ms=p99)
