"""What a task's sides did over time, in steps of five minutes and of an hour. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from dualrun.contracts import Role, Side
from gateway.core.comparison import Verdict
from gateway.core.moment import as_utc

__all__ = ["FINE_KEPT", "FINE_S", "HOUR_S", "STEPS_S", "ActivityPoint", "Series", "series_of", "series_of_verdict", "step_of_moment"]

FINE_S, HOUR_S = 300, 3600
STEPS_S = (FINE_S, HOUR_S)
"""The lengths of the steps things are counted in, in seconds."""
FINE_KEPT = timedelta(days=2)
"""How long the fine steps are kept; hours stay."""
_EPOCH = datetime.fromtimestamp(0, UTC)


class Series(StrEnum):
    """What is counted: executions of a side in a role, those of them that ended as a dead letter, and judgements of pairs."""

    LEGACY = "legacy"
    LEGACY_SHADOW = "legacy shadow"
    EVENTS = "events"
    EVENTS_SHADOW = "events shadow"
    SAME = "same"
    DIFFERENT = "different"
    DEAD_LETTERED = "dead lettered"


_OF_SIDE: Mapping[Side, tuple[Series, Series]] = {
    Side.LEGACY: (Series.LEGACY, Series.LEGACY_SHADOW),
    Side.EVENTS: (Series.EVENTS, Series.EVENTS_SHADOW),
}


def series_of(side: Side, role: Role) -> Series:
    """The series an execution counts in."""
    authority, shadow = _OF_SIDE[side]
    return authority if role is Role.AUTHORITY else shadow


def series_of_verdict(verdict: Verdict) -> Series | None:
    """The series a pair counts in; None where it says neither."""
    if verdict.is_same:
        return Series.SAME
    return Series.DIFFERENT if verdict.is_different else None


def step_of_moment(moment: datetime, step_s: int) -> datetime:
    """The beginning of the step a moment is in; steps count from 1970 in UTC."""
    since = as_utc(moment) - _EPOCH
    return _EPOCH + timedelta(seconds=since // timedelta(seconds=step_s) * step_s)


@dataclass(frozen=True, slots=True)
class ActivityPoint:
    """One step of one task."""

    at: datetime
    """Its beginning."""
    counts: Mapping[Series, int] = field(default_factory=dict)
    total_ms: Mapping[Series, float] = field(default_factory=dict)
    """Execution times added up, of the series that are executions."""

    def answered(self, side: Side) -> int:
        """Submissions the side answered for."""
        return self.counts.get(_OF_SIDE[side][0], 0)

    def observed(self, side: Side) -> int:
        """Submissions the side ran as a shadow."""
        return self.counts.get(_OF_SIDE[side][1], 0)

    def mean_ms(self, side: Side) -> float | None:
        """The mean execution time of the side, in both roles; None where it ran nothing."""
        n = self.answered(side) + self.observed(side)
        return sum(self.total_ms.get(series, 0.0) for series in _OF_SIDE[side]) / n if n > 0 else None

    @property
    def dead_lettered(self) -> int:
        """Executions that ended as a dead letter."""
        return self.counts.get(Series.DEAD_LETTERED, 0)

    @property
    def match_ratio(self) -> float | None:
        """The share of pairs that are the same; None where none was compared."""
        same, different = self.counts.get(Series.SAME, 0), self.counts.get(Series.DIFFERENT, 0)
        return same / (same + different) if same + different > 0 else None
