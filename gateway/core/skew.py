"""How far apart the two sides of a pair started, and whether they differ more the farther: a world that went on differs by itself."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.noise import FieldCounts, FieldStanding, judge_fields

__all__ = ["SKEW_BOUNDS_MS", "SkewCount", "skew_bucket", "skew_matters_from"]

SKEW_BOUNDS_MS = (100.0, 1_000.0, 10_000.0, 60_000.0, 600_000.0)
"""What each bucket holds at most; the last one, of number `len(SKEW_BOUNDS_MS)`, holds what is beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewCount:
    """Pairs that started about as far apart."""

    bucket: int
    same: int
    different: int

    @property
    def pairs(self) -> int:
        return self.same + self.different

    @property
    def at_least_ms(self) -> float:
        return SKEW_BOUNDS_MS[self.bucket - 1] if self.bucket else 0.0

    @property
    def at_most_ms(self) -> float | None:
        """None for no bound."""
        return SKEW_BOUNDS_MS[self.bucket] if self.bucket < len(SKEW_BOUNDS_MS) else None


def skew_bucket(skew_ms: float) -> int:
    """The bucket of a skew, whichever side came first."""
    return bisect_left(SKEW_BOUNDS_MS, abs(skew_ms))


def skew_matters_from(counts: Sequence[SkewCount]) -> SkewCount | None:
    """The first bucket from which on pairs differ more often than those that started closer together; None where they do not.

    Both significant and large enough to matter, of all the buckets looked at together (`gateway.core.noise`).
    """
    cuts = {count.bucket: _far_and_near(counts, count.bucket) for count in counts}
    judged = judge_fields({bucket: fields for bucket, fields in cuts.items() if fields.control_pairs and fields.pairs})
    return next((count for count in counts if (said := judged.get(count.bucket)) and said.standing is FieldStanding.DIFFERENT), None)


def _far_and_near(counts: Sequence[SkewCount], cut: int) -> FieldCounts:
    far = [count for count in counts if count.bucket >= cut]
    near = [count for count in counts if count.bucket < cut]
    return FieldCounts(
        pairs=sum(count.pairs for count in far),
        different=sum(count.different for count in far),
        control_pairs=sum(count.pairs for count in near),
        control_different=sum(count.different for count in near),
    )
