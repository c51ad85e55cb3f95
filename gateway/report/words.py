"""Numbers, verdicts and differences in words: what every rendering says alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from gateway.core.comparison import DifferenceKind, Verdict

__all__ = [
    "CALLS_ANSWERED",
    "DIFFERENCES",
    "VERDICTS",
    "counted",
    "duration",
    "instant",
    "percent",
    "percent_at_most",
    "sparkline",
    "visible",
]

VERDICTS: Mapping[Verdict, str] = {
    Verdict.EQUAL: "equal",
    Verdict.EQUAL_AFTER_NORMALISE: "equal but for generated ids and times",
    Verdict.IGNORED: "different only where a rule allows it",
    Verdict.INCOMPLETE: "no difference, but not all could be compared",
    Verdict.CANCELLED: "cancelled on a side",
    Verdict.DIFFERENT_TRACE: "done in another way",
    Verdict.DIFFERENT_SCHEDULE: "other attempts, or at other times",
    Verdict.DIFFERENT_VALUE: "another value",
    Verdict.DIFFERENT_EFFECT: "other effects",
    Verdict.DIFFERENT_STATE: "another state",
    Verdict.MISSING: "an outcome is missing",
    Verdict.LATE: "an outcome came too late",
}

DIFFERENCES: Mapping[DifferenceKind, str] = {
    DifferenceKind.TYPE: "The shadow's value has another type",
    DifferenceKind.VALUE: "The shadow has another value",
    DifferenceKind.MISSING: "The shadow lacks a value",
    DifferenceKind.EXTRA: "The shadow has a value too many",
    DifferenceKind.ORDER: "The shadow has the same members in another order",
    DifferenceKind.LENGTH: "The shadow's list has another length",
    DifferenceKind.STATE: "The shadow ends in another state",
    DifferenceKind.ERROR: "The shadow fails with another error",
    DifferenceKind.EFFECT_MISSING: "The shadow does not cause an effect",
    DifferenceKind.EFFECT_EXTRA: "The shadow causes an effect too many",
    DifferenceKind.EFFECT_CHANGED: "The shadow causes an effect with other content",
    DifferenceKind.ATTEMPTS: "The shadow makes another number of attempts",
    DifferenceKind.RETRY_DELAY: "The shadow waits for another time before it tries again",
    DifferenceKind.EARLY: "A side starts before its eta",
    DifferenceKind.SPAN_MISSING: "The shadow does not do a step",
    DifferenceKind.SPAN_EXTRA: "The shadow does a step too many",
    DifferenceKind.SPAN_COUNT: "The shadow does a step more often, or less",
    DifferenceKind.SPAN_N_PLUS_ONE: "The shadow makes a call once for each item (N+1)",
    DifferenceKind.SPAN_STATUS: "A step fails on one side only",
    DifferenceKind.SPAN_ORDER: "The shadow makes its calls in another order",
    DifferenceKind.INCOMPLETE: "Not all of a side is known here, so it was not compared",
    DifferenceKind.TRUNCATED: "The comparison was cut short here: what lies beyond is not known to be equal",
}

CALLS_ANSWERED = "Calls of a shadow that are captured are answered, not made: how long they took says nothing of the handler."

_BARS = "▁▂▃▄▅▆▇█"
_REORDERING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF, 0x2028, 0x2029}
_NEWLINE = 0x0A
_HIDDEN = {code: f"\\u{code:04x}" for code in {*range(0x20), *range(0x7F, 0xA0), *_REORDERING} - {_NEWLINE}}


def counted(n: int) -> str:
    """A count with its thousands apart."""
    return f"{n:,}"


def percent(ratio: float) -> str:
    """A ratio as a percentage of three digits; never 100 % or 0 % where it is not quite."""
    value = 100 * ratio
    if ratio in (0.0, 1.0):
        return f"{value:.0f} %"
    if ratio > 0.99:
        # Seen from the other end: 99.996 % must not round to 100 %.
        digits = max(1, -math.floor(math.log10(100 - value)))
        return f"{math.floor(value * 10**digits) / 10**digits:.{digits}f} %"
    return f"{value:.{_digits(value)}f} %"


def percent_at_most(ratio: float) -> str:
    """An upper bound as a percentage, rounded up: what is stated holds."""
    if ratio >= 1.0:
        return "100 %"
    if ratio <= 0.0:
        return "0 %"
    value = 100 * ratio
    digits = _digits(value)
    return f"{math.ceil(value * 10**digits) / 10**digits:.{digits}f} %"


def duration(elapsed_ms: float | None) -> str:
    """A time in the unit that suits it; a dash where there is none."""
    if elapsed_ms is None:
        return "-"
    if elapsed_ms < 1_000:
        return f"{elapsed_ms:.3g} ms" if elapsed_ms < 100 else f"{elapsed_ms:.0f} ms"
    seconds = elapsed_ms / 1_000
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:,.0f} s"


def instant(moment: datetime | None) -> str:
    """A moment in UTC, to the second; a dash where there is none."""
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def visible(text: str) -> str:
    """The text with control characters and those that reorder what is read spelled out: it shows what it holds."""
    return text.translate(_HIDDEN)


def sparkline(counts: Sequence[int]) -> str:
    """Counts as eight heights of bars; nothing as a dot."""
    most = max(counts, default=0)
    return "".join(_BARS[max(0, math.ceil(8 * n / most) - 1)] if n > 0 else "·" for n in counts) if most > 0 else "·" * len(counts)


def _digits(value: float) -> int:
    """Decimals that leave three digits that count, two below 1."""
    return max(0, (2 if value < 1 else 3) - 1 - math.floor(math.log10(value)))
