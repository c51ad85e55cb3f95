"""Pairs by how far apart their sides started."""

from __future__ import annotations

import pytest

from gateway.core.skew import SKEW_BOUNDS_MS, SkewCount, skew_bucket, skew_matters_from


@pytest.mark.parametrize(("skew_ms", "bucket"), [(0.0, 0), (-100.0, 0), (100.1, 1), (-30_000.0, 3), (1e12, len(SKEW_BOUNDS_MS))])
def test_whichever_side_came_first_counts_alike(skew_ms: float, bucket: int) -> None:
    assert skew_bucket(skew_ms) == bucket


def test_differences_that_come_with_distance_are_seen_from_where_they_begin() -> None:
    counts = [SkewCount(bucket=0, same=990, different=10), SkewCount(bucket=3, same=80, different=20)]
    cut = skew_matters_from(counts)
    assert cut is not None
    assert (cut.bucket, cut.at_least_ms) == (3, 10_000.0)


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [SkewCount(bucket=2, same=90, different=10)],
        [SkewCount(bucket=0, same=900, different=100), SkewCount(bucket=4, same=9, different=1)],
        [SkewCount(bucket=0, same=80, different=20), SkewCount(bucket=4, same=990, different=10)],
    ],
)
def test_no_data_no_distance_and_no_more_differences_say_nothing(counts: list[SkewCount]) -> None:
    assert skew_matters_from(counts) is None
