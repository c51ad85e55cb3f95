"""Two lists beside each other, so that what belongs together stands in one line. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Generic, TypeVar

from dualrun.contracts import Effect, SpanRecord

__all__ = ["Bar", "Line", "aligned_effects", "aligned_spans"]

_MOST = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line(Generic[T]):
    """What both sides have at a place; None for the side that has nothing there."""

    authority: T | None
    shadow: T | None

    @property
    def one_sided(self) -> bool:
        return self.authority is None or self.shadow is None


@dataclass(frozen=True, slots=True)
class Bar:
    """A span as a waterfall shows it: where it starts and how long it is, of the whole, in per cent."""

    span: SpanRecord
    depth: int
    start_percent: float
    width_percent: float


def aligned_effects(authority: Sequence[Effect], shadow: Sequence[Effect]) -> tuple[Line[Effect], ...]:
    """By kind and key, in the authority's order where both have them; at most 500 of each."""
    return _aligned(authority[:_MOST], shadow[:_MOST], lambda effect: (effect.kind, effect.key))


def aligned_spans(authority: Sequence[SpanRecord], shadow: Sequence[SpanRecord]) -> tuple[Line[Bar], ...]:
    """Waterfalls on one scale, parents before children, by name and depth; at most 500 of each."""
    whole_ms = max((span.offset_ms + span.duration_ms for span in (*authority, *shadow)), default=0.0)
    return _aligned(_bars(authority[:_MOST], whole_ms), _bars(shadow[:_MOST], whole_ms), lambda bar: (bar.span.name, bar.depth))


def _aligned(authority: Sequence[T], shadow: Sequence[T], identity: Callable[[T], Hashable]) -> tuple[Line[T], ...]:
    matcher = SequenceMatcher(None, [identity(one) for one in authority], [identity(other) for other in shadow], autojunk=False)
    lines: list[Line[T]] = []
    for what, a_from, a_to, s_from, s_to in matcher.get_opcodes():
        if what == "equal":
            lines += [Line(one, other) for one, other in zip(authority[a_from:a_to], shadow[s_from:s_to], strict=True)]
        else:
            lines += [Line(one, None) for one in authority[a_from:a_to]]
            lines += [Line(None, other) for other in shadow[s_from:s_to]]
    return tuple(lines)


def _bars(spans: Sequence[SpanRecord], whole_ms: float) -> list[Bar]:
    known = {span.span_id for span in spans}
    children: dict[str | None, list[SpanRecord]] = {}
    for span in sorted(spans, key=lambda span: span.offset_ms):
        # A parent that is not here (dropped, or of another process) leaves its child a root; so does one that is the span itself.
        parent = span.parent_id if span.parent_id in known and span.parent_id != span.span_id else None
        children.setdefault(parent, []).append(span)
    bars: list[Bar] = []
    waiting = [(span, 0) for span in reversed(children.pop(None, []))]
    while waiting:
        span, depth = waiting.pop()
        start, width = (span.offset_ms / whole_ms, span.duration_ms / whole_ms) if whole_ms > 0 else (0.0, 0.0)
        bars.append(Bar(span, depth, 100 * start, 100 * width))
        waiting += [(child, depth + 1) for child in reversed(children.pop(span.span_id, []))]
    return bars
