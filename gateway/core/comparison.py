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
    SCHEDULE = "schedule"
    """How often it was tried, how long it waited in between, and whether it started before its eta."""
    TRACE = "trace"
    """Which spans the execution had, and how they nest."""


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
    ATTEMPTS = "attempts"
    RETRY_DELAY = "retry_delay"
    EARLY = "early"
    """It started before its eta."""
    SPAN_MISSING = "span_missing"
    SPAN_EXTRA = "span_extra"
    SPAN_COUNT = "span_count"
    SPAN_N_PLUS_ONE = "span_n_plus_one"
    """The shadow calls something again and again that the authority calls once or a few times."""
    SPAN_STATUS = "span_status"
    SPAN_ORDER = "span_order"
    INCOMPLETE = "incomplete"
    """Not all of a side is known there, so it was not compared."""
    TRUNCATED = "truncated"
    """The comparison stopped at a bound (depth, width, time): what lies beyond is not known to be equal."""


class Verdict(StrEnum):
    """The whole comparison in a word, best first. Missing and late are no success and no failure."""

    EQUAL = "equal"
    EQUAL_AFTER_NORMALISE = "equal_after_normalise"
    """Equal once generated ids and times are replaced by placeholders."""
    IGNORED = "ignored"
    """Differs only where a rule says it may."""
    INCOMPLETE = "incomplete"
    """No difference in what could be compared, but not all could be: spans or effects are lost, or the shadow lacked its authority's
    answers and so could not end as that did. Not known to be equal."""
    CANCELLED = "cancelled"
    """A side was told to give it up, and did: there is nothing to compare, and it speaks neither for nor against a side."""
    DIFFERENT_TRACE = "different_trace"
    DIFFERENT_SCHEDULE = "different_schedule"
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
_DIFFERENT = frozenset(
    {
        Verdict.DIFFERENT_TRACE,
        Verdict.DIFFERENT_SCHEDULE,
        Verdict.DIFFERENT_VALUE,
        Verdict.DIFFERENT_EFFECT,
        Verdict.DIFFERENT_STATE,
    }
)


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
    control: bool = False
    """Both sides were legacy: what differs is noise, and counts as that alone."""
    cohort: str = ""
    """The targeting rule that decided, if one did."""
    cohort_key: str = ""
    """For counting who is affected; only its hash is stored with the comparison."""
    node_times: tuple[tuple[str, float, float], ...] = ()
    """Of each trace node both sides have: path, and milliseconds of the authority and of the shadow. Counted, not stored."""
    answers_dropped: int = 0
    """Answers the authority got that could not be kept for the shadow. Counted, not stored."""
    calls_unknown: int = 0
    """Calls of the shadow the authority never made. Counted, not stored."""
    calls_unanswered: int = 0
    """Calls of the shadow that were answered before anything of the authority's answers was known. Counted, not stored."""
