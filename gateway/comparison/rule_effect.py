"""What a rule that is not in force yet would hide, told from comparisons on record. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from gateway.comparison.rules import IgnoreRule, Rule, ToleranceRule, UnorderedRule
from gateway.core.comparison import Comparison, Difference, DifferenceKind

__all__ = ["RuleEffect", "effect_of_rule"]

_NUMBERS = frozenset({DifferenceKind.VALUE, DifferenceKind.TYPE})


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEffect:
    """What the rule does to some comparisons that differ."""

    looked_at: int
    touched: int
    """Those in which it hides a difference."""
    same_then: int
    """Those of them in which nothing else differs."""
    paths: tuple[tuple[str, int], ...]
    """What it hides, and in how many; the most frequent first."""


def effect_of_rule(rule: Rule, comparisons: Iterable[Comparison], on: date) -> RuleEffect:
    """What a rule of that day would hide. Only what is on record is judged: stored samples of values, at stored paths."""
    looked_at = touched = same_then = 0
    paths: Counter[str] = Counter()
    for comparison in comparisons:
        looked_at += 1
        shown = [difference for difference in comparison.differences if not difference.ignored_by]
        hidden = [difference for difference in shown if _hides(rule, difference, on)]
        if hidden:
            touched += 1
            same_then += len(hidden) == len(shown)
            paths.update({difference.path for difference in hidden})
    return RuleEffect(looked_at=looked_at, touched=touched, same_then=same_then, paths=tuple(paths.most_common()))


def _hides(rule: Rule, difference: Difference, on: date) -> bool:
    if not rule.covers(difference.path, on):
        return False
    match rule:
        case IgnoreRule():
            return True
        case ToleranceRule():
            return difference.kind in _NUMBERS and rule.allows(difference.authority, difference.shadow)
        case UnorderedRule():
            return difference.kind in (DifferenceKind.ORDER, DifferenceKind.SPAN_ORDER)
        case _:
            return False
