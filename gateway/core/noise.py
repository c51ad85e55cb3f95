"""Which differences are the task's own noise: legacy against events, held against legacy against legacy.

Decided by a test on the difference of the two rates, not by their ratio (which is blind on noisy fields and jumpy on quiet ones,
dual-run.md 4.1): it has to be significant and large enough to matter, and of many fields only as many may be called different as chance
does not explain (Benjamini and Hochberg, 1995, at 5 %).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gateway.core.binomial import at_most

__all__ = ["CONTROL_RUNS_MIN", "FALSE_DISCOVERIES", "MATERIAL", "FieldCounts", "FieldJudgement", "FieldStanding", "judge_fields"]

FALSE_DISCOVERIES = 0.05
MATERIAL = 0.001
"""A rate of differences of a tenth of a point more than the noise is the least that matters; for lost and repeated effects, any."""
CONTROL_RUNS_MIN = 100
"""Before that many control runs no rule is suggested: the smallest N the test was simulated at (dual-run.md 4.1)."""
_FEW = 25
_MOSTLY = 0.5

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """How often one field differed."""

    pairs: int
    """Legacy against events."""
    different: int
    control_pairs: int
    """Legacy against legacy."""
    control_different: int
    material: float = MATERIAL


class FieldStanding(StrEnum):
    """What the counts say of a field."""

    DIFFERENT = "different"
    """More often than noise explains."""
    UNPROVEN = "unproven"
    """More often than in the control runs, but not by enough to rule chance out: look at it, rely on nothing."""
    NOISE = "noise"
    """Not more often than legacy differs from itself."""
    UNKNOWN = "unknown"
    """There are no control runs."""


@dataclass(frozen=True, slots=True)
class FieldJudgement:
    """A field's standing and the evidence for it."""

    standing: FieldStanding
    excess: float
    """Its rate of differences less that of the control runs."""
    p_value: float
    """How probable so large an excess is if there is none."""
    control_rate: float
    control_pairs: int = 0

    @property
    def is_ignorable(self) -> bool:
        """Whether legacy differs from itself there more often than not, by enough runs: what stands there can never be compared."""
        return self.standing is FieldStanding.NOISE and self.control_rate >= _MOSTLY and self.control_pairs >= CONTROL_RUNS_MIN


def judge_fields(fields: Mapping[K, FieldCounts]) -> Mapping[K, FieldJudgement]:
    """The standing of each field of one task, all of them looked at together."""
    p_values = {key: _p_value(counts) for key, counts in fields.items() if counts.control_pairs > 0 and counts.pairs > 0}
    limit = _discovery_limit(list(p_values.values()))
    return {key: _judged(counts, p_values.get(key), limit) for key, counts in fields.items()}


def _judged(counts: FieldCounts, p_value: float | None, limit: float) -> FieldJudgement:
    if p_value is None:
        return FieldJudgement(FieldStanding.UNKNOWN, 0.0, 1.0, 0.0)
    control_rate = counts.control_different / counts.control_pairs
    excess = counts.different / counts.pairs - control_rate
    if p_value <= limit and excess > 0 and excess >= counts.material:
        standing = FieldStanding.DIFFERENT
    else:
        standing = FieldStanding.UNPROVEN if excess > 0 else FieldStanding.NOISE
    return FieldJudgement(standing, excess, p_value, control_rate, counts.control_pairs)


def _discovery_limit(p_values: list[float]) -> float:
    """The largest p-value that still counts: the k-th of n that is at most k / n of 5 %."""
    n = len(p_values)
    passing = [p for rank, p in enumerate(sorted(p_values), 1) if p <= FALSE_DISCOVERIES * rank / n]
    return max(passing, default=-1.0)


def _p_value(counts: FieldCounts) -> float:
    """One-sided. Few differences in all are counted out exactly (given their number, each falls to the pairs by their share)."""
    k, n, j, m = counts.different, counts.pairs, counts.control_different, counts.control_pairs
    if k + j == 0:
        return 1.0
    if k + j < _FEW:
        return 1.0 - at_most(k - 1, k + j, n / (n + m)) if k > 0 else 1.0
    rate = (k + j) / (n + m)
    deviation = math.sqrt(rate * (1 - rate) * (1 / n + 1 / m))
    return 1.0 if deviation == 0.0 else 0.5 * math.erfc((k / n - j / m) / deviation / math.sqrt(2))
