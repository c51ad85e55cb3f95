"""What a comparison says: a verdict and typed differences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dualrun.contracts import JsonValue

__all__ = ["Aspect", "Comparison", "Difference", "DifferenceKind", "Verdict"]


class Aspect(StrEnum):
    """Which part of the outcomes a difference is in."""

    STATE = "state"
    ERROR = "error"
    VALUE = "value"
    EFFECTS = "effects"


class DifferenceKind(StrEnum):
    """What a difference is. Missing and extra are told from the authority: `missing` is what the shadow lacks."""

    TYPE = "type"
    VALUE = "value"
    MISSING = "missing"
    EXTRA = "extra"
    ORDER = "order"
    """The same members in another order."""
    LENGTH = "length"
    STATE = "state"
    ERROR = "error"
    EFFECT_MISSING = "effect_missing"
    EFFECT_EXTRA = "effect_extra"
    EFFECT_CHANGED = "effect_changed"
    TRUNCATED = "truncated"
    """The comparison stopped at a bound (depth, width, time): what lies beyond is not known to be equal."""


class Verdict(StrEnum):
    """The whole comparison in a word, best first. Missing and late are no success and no failure."""

    EQUAL = "equal"
    EQUAL_AFTER_NORMALISE = "equal_after_normalise"
    """Equal once generated ids and times are replaced by placeholders."""
    IGNORED = "ignored"
    """Differs only where a rule says it may."""
    DIFFERENT_VALUE = "different_value"
    DIFFERENT_EFFECT = "different_effect"
    DIFFERENT_STATE = "different_state"
    MISSING = "missing"
    """No outcome of one role by the deadline."""
    LATE = "late"
    """The missing outcome came after the deadline; it is kept, compared, and counted apart."""

    @property
    def is_same(self) -> bool:
        return self in _SAME

    @property
    def is_different(self) -> bool:
        return self in _DIFFERENT


_SAME = frozenset({Verdict.EQUAL, Verdict.EQUAL_AFTER_NORMALISE, Verdict.IGNORED})
_DIFFERENT = frozenset({Verdict.DIFFERENT_VALUE, Verdict.DIFFERENT_EFFECT, Verdict.DIFFERENT_STATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One typed difference.

    `path` is canonical: list indices are `[*]`, so that the same fault in two submissions has the same path
    (`/value/items/[*]/price`, `/effects/email/to:*`).
    """

    aspect: Aspect
    kind: DifferenceKind
    path: str
    authority: JsonValue = None
    shadow: JsonValue = None
    ignored_by: str | None = None
    """The id of the rule that says this difference may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The authority's outcome against the shadow's."""

    submission_id: str
    task: str
    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    missing: str | None = None
    """With verdict missing or late: the role that had no outcome by the deadline."""
    authority_ms: float | None = None
    shadow_ms: float | None = None
    skew_ms: float | None = None
    """Start of the shadow minus start of the authority."""
    ruleset_version: str = ""
    flag_version: int = 0
    compared_at: datetime
