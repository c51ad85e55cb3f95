"""What both sides did with one submission, beside each other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dualrun.contracts import Effect, JsonValue, Outcome
from gateway.comparison.paths import effect_path
from gateway.comparison.rules import path_pattern
from gateway.console.alignment import Bar, Line, aligned_effects, aligned_spans
from gateway.console.side_by_side import SideBySide, side_by_side
from gateway.core.comparison import Aspect, Difference
from gateway.core.report import SubmissionView

__all__ = ["EffectLine", "Pair", "pair_of"]


@dataclass(frozen=True, slots=True)
class EffectLine:
    """An effect of one or both sides, and its payloads where both have one."""

    sides: Line[Effect]
    payload: SideBySide | None
    differs: bool
    """Whether the comparison found a difference in it; one side alone is always shown as one."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Everything of a submission that is shown in two columns."""

    values: SideBySide | None
    """What the sides returned; None where one of them has no value to show."""
    effects: tuple[EffectLine, ...]
    spans: tuple[Line[Bar], ...]
    differences: tuple[Difference, ...]


def pair_of(view: SubmissionView) -> Pair:
    """The sides of a submission; lists are empty for a side that has not answered."""
    authority, shadow = view.authority, view.shadow
    differences = () if view.comparison is None else view.comparison.differences
    effects = aligned_effects(authority.effects if authority else (), shadow.effects if shadow else ())
    return Pair(
        values=_values(authority, shadow, differences),
        effects=tuple(_effect_line(line, differences) for line in effects),
        spans=aligned_spans(authority.spans if authority else (), shadow.spans if shadow else ()),
        differences=tuple(sorted(differences, key=lambda one: one.ignored_by is not None)),
    )


def _values(authority: Outcome | None, shadow: Outcome | None, differences: Sequence[Difference]) -> SideBySide | None:
    if authority is None or shadow is None or authority.failure is not None or shadow.failure is not None:
        return None
    if authority.value is None and shadow.value is None:
        return None
    return side_by_side(authority.value, shadow.value, at="/value", is_judged=_found_in(differences, Aspect.VALUE))


def _effect_line(line: Line[Effect], differences: Sequence[Difference]) -> EffectLine:
    one = line.authority or line.shadow
    assert one is not None
    at = effect_path(one.kind, one.key)
    payload = None
    if line.authority is not None and line.shadow is not None:
        payload = side_by_side(_told(line.authority), _told(line.shadow), at=at, is_judged=_found_in(differences, Aspect.EFFECTS))
    differs = any(difference.aspect is Aspect.EFFECTS and difference.path.startswith(at) for difference in differences)
    return EffectLine(line, payload, line.one_sided or (differs and (payload is None or payload.changed)))


def _told(effect: Effect) -> JsonValue:
    return effect.payload if effect.error is None else {"error": effect.error, "payload": effect.payload}


def _found_in(differences: Sequence[Difference], aspect: Aspect) -> Callable[[str], bool]:
    """Whether one of the differences no rule hides lies at a path, above it or below it."""
    paths = {difference.path for difference in differences if difference.aspect is aspect and not difference.ignored_by}

    def found(path: str) -> bool:
        return any(path_pattern(one).match(path) or one.startswith(f"{path}/") for one in paths)

    return found
