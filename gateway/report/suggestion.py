"""Which rule is suggested for what control runs call noise: the narrowest that hides it, and none where it would hide a fault."""

from __future__ import annotations

from enum import StrEnum

from gateway.core.comparison import Aspect, DifferenceKind
from gateway.core.noise import FieldJudgement
from gateway.core.report import DifferenceGroup

__all__ = ["Suggestion", "suggestion_for"]


class Suggestion(StrEnum):
    """The section of a rule file the suggested rule belongs into."""

    IGNORE = "ignore"
    UNORDERED = "unordered"


_ORDERS = frozenset({DifferenceKind.ORDER, DifferenceKind.SPAN_ORDER})
_NEVER = frozenset({DifferenceKind.EFFECT_MISSING, DifferenceKind.EFFECT_EXTRA, DifferenceKind.INCOMPLETE, DifferenceKind.TRUNCATED})
"""Lost and repeated effects are at the path of the whole effect: ignored there, no effect of that key would be compared any more."""
_HOW_IT_ENDED = frozenset({Aspect.STATE, Aspect.ERROR})
_ROOTS = frozenset({"", "/", "/value", "/effects", "/trace", "/schedule"})
_WHOLE_EFFECT_SEGMENTS = 3


def suggestion_for(group: DifferenceGroup, judged: FieldJudgement) -> Suggestion | None:
    """None where no rule is to be suggested: a person may still write one, and then has thought of it."""
    if not judged.is_ignorable or group.aspect in _HOW_IT_ENDED or group.kind in _NEVER:
        return None
    if group.kind in _ORDERS:
        return Suggestion.UNORDERED
    # `/value` itself is the field where the task returns a plain value; of an object it is everything.
    is_root = group.path in _ROOTS and not (group.path == "/value" and group.kind is DifferenceKind.VALUE)
    return None if is_root or _is_whole_effect(group) else Suggestion.IGNORE


def _is_whole_effect(group: DifferenceGroup) -> bool:
    """Whether the path may be that of an effect and not of something in it; the key of an effect may hold slashes itself."""
    if group.aspect is not Aspect.EFFECTS:
        return False
    contents = [side for sample in group.samples for side in (sample.authority, sample.shadow)]
    return len(group.path.strip("/").split("/")) <= _WHOLE_EFFECT_SEGMENTS or any(
        content is None or isinstance(content, (dict, list, tuple)) for content in contents
    )
