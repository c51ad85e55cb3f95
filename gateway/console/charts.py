"""What charts are drawn of: dense steps of time, and small lines for lists. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dualrun.contracts import Side
from gateway.core.activity import FINE_S, HOUR_S, ActivityPoint, step_of_moment

__all__ = ["WINDOWS", "Mark", "Sparkline", "Window", "chart_data", "dense", "sparkline_of"]


@dataclass(frozen=True, slots=True)
class Window:
    """How far back a chart reaches, and in which steps."""

    name: str
    reach: timedelta
    step_s: int


WINDOWS = (
    Window("3 h", timedelta(hours=3), FINE_S),
    Window("24 h", timedelta(hours=24), FINE_S),
    Window("7 d", timedelta(days=7), HOUR_S),
    Window("30 d", timedelta(days=30), HOUR_S),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A change of flags, to be drawn on the charts."""

    at: datetime
    version: int
    text: str


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A small line: pieces of points `x,y` in a box of 100 by 20, an empty step between them, and what it comes down to."""

    pieces: tuple[str, ...]
    last: float | None
    most: float


def dense(points: Iterable[ActivityPoint], *, since: datetime, until: datetime, step_s: int) -> Sequence[ActivityPoint]:
    """Every step of the time, empty ones too."""
    at, by_time = step_of_moment(since, step_s), {point.at: point for point in points}
    steps: list[ActivityPoint] = []
    while at <= until:
        steps.append(by_time.get(at) or ActivityPoint(at))
        at += timedelta(seconds=step_s)
    return steps


def chart_data(steps: Sequence[ActivityPoint], marks: Sequence[Mark], step_s: int) -> Mapping[str, object]:
    """What the page's script draws: seconds since 1970, and a column for each line, with null where nothing is known."""
    return {
        "step_s": step_s,
        "at": [int(point.at.timestamp()) for point in steps],
        "match": [None if point.match_ratio is None else round(100 * point.match_ratio, 3) for point in steps],
        "legacy_ms": [_rounded(point.mean_ms(Side.LEGACY)) for point in steps],
        "events_ms": [_rounded(point.mean_ms(Side.EVENTS)) for point in steps],
        "legacy": [point.answered(Side.LEGACY) for point in steps],
        "events": [point.answered(Side.EVENTS) for point in steps],
        "shadow": [point.observed(Side.LEGACY) + point.observed(Side.EVENTS) for point in steps],
        "marks": [{"at": int(mark.at.timestamp()), "version": mark.version, "text": mark.text} for mark in marks],
    }


def sparkline_of(values: Sequence[float | None], most: float | None = None) -> Sparkline:
    """A line of values on a scale from 0 to `most`; None is a gap."""
    known = [value for value in values if value is not None]
    top = most if most is not None else max(known, default=0.0)
    pieces: list[list[str]] = [[]]
    for position, value in enumerate(values):
        if value is None:
            pieces.append([])
            continue
        x = 100 * position / max(1, len(values) - 1)
        y = 19 - 18 * (min(value / top, 1.0) if top > 0 else 0.0)
        pieces[-1].append(f"{x:.1f},{y:.1f}")
    # A step alone is a dot: a line needs two ends.
    drawn = (piece if len(piece) > 1 else [piece[0], _beside(piece[0])] for piece in pieces if piece)
    return Sparkline(tuple(" ".join(piece) for piece in drawn), known[-1] if known else None, top)


def _beside(point: str) -> str:
    x, _, y = point.partition(",")
    return f"{float(x) + (-4 if float(x) > 4 else 4):.1f},{y}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
