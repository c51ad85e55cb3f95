"""What has been counted of one task in its present step, and the bins it is counted in. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dualrun.contracts import Mode, Role, Side, State
from gateway.core.comparison import Comparison, Verdict

__all__ = ["FAILED_STATES", "HALF_BIN", "KEYS_LOOKED_AT", "Runs", "StepEvidence", "ratio_bin"]

FAILED_STATES = frozenset({State.FAILED, State.DEAD_LETTERED, State.REJECTED})
_RAN = FAILED_STATES | {State.SUCCEEDED, State.IGNORED}
KEYS_LOOKED_AT = 5_000
"""Submissions whose cohort keys are looked at, the latest first: the price of looking must not grow with traffic."""
_BINS_PER_E = 10
"""Ratios are counted by their logarithm, in tenths: a bin is 10 % wide."""
HALF_BIN = 0.5 / _BINS_PER_E
"""How far a mean of logarithms may be off because ratios are counted in bins."""
_FLOOR_MS = 5.0
"""Below this, twice as long is noise and not a finding."""
_FARTHEST_BIN = 200


@dataclass(frozen=True, slots=True)
class Runs:
    """How often a side ran, and failed."""

    n: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvidence:
    """Counted under the flag versions of the present step, and no others."""

    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    outcomes: Mapping[tuple[Side, Role, State], int] = field(default_factory=dict)
    ratios: Mapping[int, int] = field(default_factory=dict)
    """Run time of the shadow over the authority's, by `ratio_bin`."""
    keys: Mapping[Side, int] = field(default_factory=dict)
    """Distinct cohort keys a percentage sent to each side, of the latest `KEYS_LOOKED_AT` submissions."""
    before: Mapping[tuple[Side, Role, State], int] = field(default_factory=dict)
    """Outcomes of the steps before, where legacy has none in this one: how often it fails is known from there."""

    @property
    def compared(self) -> int:
        return sum(n for verdict, n in self.verdicts.items() if verdict.is_same or verdict.is_different)

    @property
    def different(self) -> int:
        return sum(n for verdict, n in self.verdicts.items() if verdict.is_different)

    @property
    def paired(self) -> int:
        return sum(self.verdicts.values())

    @property
    def hidden(self) -> int:
        """Pairs that are called the same because rules in force hide what differs: judged again when a rule changes."""
        return self.verdicts.get(Verdict.IGNORED, 0)

    @property
    def unpaired(self) -> int:
        return self.verdicts.get(Verdict.MISSING, 0) + self.verdicts.get(Verdict.LATE, 0)

    @property
    def dead_letters(self) -> int:
        return sum(n for (side, _, state), n in self.outcomes.items() if side is Side.EVENTS and state is State.DEAD_LETTERED)

    def runs(self, side: Side, mode: Mode) -> Runs:
        """Runs of a side in the role the mode gives it; expired and revoked work has not run."""
        role = _ROLES[mode].get(side)
        return _runs((state, n) for (on, as_, state), n in self.outcomes.items() if on is side and as_ is role)

    @property
    def legacy_before(self) -> Runs:
        """Runs of legacy in the steps before, in whatever role."""
        return _runs((state, n) for (on, _, state), n in self.before.items() if on is Side.LEGACY)

    def log_ratios(self, mode: Mode) -> tuple[float, float, int]:
        """Mean and deviation of the logarithm of (events over legacy), and how many pairs."""
        sign = -1.0 if mode is Mode.MIRROR else 1.0
        n = sum(self.ratios.values())
        if n == 0:
            return 0.0, 0.0, 0
        values = [(sign * bin_ / _BINS_PER_E, count) for bin_, count in self.ratios.items()]
        mean = sum(value * count for value, count in values) / n
        square = sum((value - mean) ** 2 * count for value, count in values) / n
        # What is lost by counting in bins of this width (Sheppard).
        return mean, math.sqrt(square + 1 / (12 * _BINS_PER_E**2)), n


def _runs(counts: Iterable[tuple[State, int]]) -> Runs:
    ran = [(state, n) for state, n in counts if state in _RAN]
    return Runs(sum(n for _, n in ran), sum(n for state, n in ran if state in FAILED_STATES))


_ROLES: Mapping[Mode, Mapping[Side, Role]] = {
    Mode.LEGACY: {Side.LEGACY: Role.AUTHORITY},
    Mode.SHADOW: {Side.LEGACY: Role.AUTHORITY, Side.EVENTS: Role.SHADOW},
    Mode.CANARY: {Side.LEGACY: Role.AUTHORITY, Side.EVENTS: Role.AUTHORITY},
    Mode.MIRROR: {Side.LEGACY: Role.SHADOW, Side.EVENTS: Role.AUTHORITY},
    Mode.EVENTS: {Side.EVENTS: Role.AUTHORITY},
}


def ratio_bin(comparison: Comparison) -> int | None:
    """The bin of a pair's ratio of run times; None where the two did not do the same work, or a time is not known."""
    authority, shadow = comparison.authority_ms, comparison.shadow_ms
    if authority is None or shadow is None or comparison.verdict in (Verdict.CANCELLED, Verdict.DIFFERENT_STATE, Verdict.LATE):
        return None
    ratio = max(shadow, _FLOOR_MS) / max(authority, _FLOOR_MS)
    if not ratio > 0 or math.isinf(ratio):
        return None
    return max(-_FARTHEST_BIN, min(_FARTHEST_BIN, round(_BINS_PER_E * math.log(ratio))))
