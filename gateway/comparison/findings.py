"""Differences as they are found: judged by the rules, counted, and bounded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial

import msgspec

from dualrun.contracts import JsonValue
from gateway.comparison.marks import has_marks, number_mark
from gateway.comparison.rules import SynonymRule, TaskRules
from gateway.core.comparison import Aspect, Difference, DifferenceKind, Verdict

__all__ = ["EFFECTS", "MAX_DIFFERENCES", "Findings"]

MAX_DIFFERENCES = 100
"""Differences one comparison gives at most."""
EFFECTS = "/effects"
"""Where effects that a side dropped are reported."""
_MAX_ALIKE = 10
"""Of one aspect, kind and path: more would say nothing new, since groups count submissions."""
_MAX_SAMPLE_CHARS = 2_000
_MAX_PATH_CHARS = 1_000

_TYPED = re.compile("__type__|__value__")
_ESCAPE = re.compile(r"\\.")
_SEVERITY = {Aspect.STATE: 0, Aspect.ERROR: 0, Aspect.EFFECTS: 1, Aspect.VALUE: 2, Aspect.SCHEDULE: 3, Aspect.TRACE: 4}
_INCOMPLETE = 5
_VERDICTS = (
    Verdict.DIFFERENT_STATE,
    Verdict.DIFFERENT_EFFECT,
    Verdict.DIFFERENT_VALUE,
    Verdict.DIFFERENT_SCHEDULE,
    Verdict.DIFFERENT_TRACE,
    Verdict.INCOMPLETE,
)
_NUMERIC = frozenset(
    {
        DifferenceKind.VALUE,
        DifferenceKind.EFFECT_CHANGED,
        DifferenceKind.ATTEMPTS,
        DifferenceKind.RETRY_DELAY,
        DifferenceKind.SPAN_COUNT,
        DifferenceKind.SPAN_N_PLUS_ONE,
    }
)
_ORDERS = frozenset({DifferenceKind.ORDER, DifferenceKind.SPAN_ORDER})
_AS_THEY_ARE = frozenset(
    {
        DifferenceKind.ORDER,
        DifferenceKind.TRUNCATED,
        DifferenceKind.EFFECT_MISSING,
        DifferenceKind.EFFECT_EXTRA,
        DifferenceKind.EFFECT_CHANGED,
    }
)


class Findings:
    """Collects the differences of one comparison. The verdict counts all of them, also those beyond the bound."""

    __slots__ = ("_alike", "_found", "_left_out", "_rules", "_settled", "_today", "_worst", "aspect", "changed")

    def __init__(self, rules: TaskRules, today: date) -> None:
        self._rules = rules
        self._today = today
        self._found: dict[tuple[bool, int], list[Difference]] = {}
        self._alike: Counter[tuple[Aspect, DifferenceKind, str]] = Counter()
        self._left_out = 0
        self._worst: int | None = None
        self._settled = True
        self.aspect = Aspect.STATE
        self.changed = False

    def __bool__(self) -> bool:
        return bool(self._alike)

    @property
    def is_settled(self) -> bool:
        """Whether placeholders could change nothing: no id, time or typed object is in what differs."""
        return self._settled

    def see_key(self, key: str) -> None:
        self._settled = self._settled and not has_marks(key)

    def synonym(self, rules: Iterable[SynonymRule], legacy: str | None, events: str | None) -> str | None:
        """The id of the rule in force by which both mean the same."""
        if legacy is None or events is None:
            return None
        return next((rule.id for rule in rules if rule.relates(legacy, events, self._today)), None)

    def is_unordered(self, path: str) -> bool:
        return bool(self._rules.unordered) and self._rules.unordering(path, self._today) is not None

    def orders(self) -> Iterator[tuple[str, Callable[[str], bool]]]:
        for rule in self._rules.ordered:
            if rule.holds(self._today):
                yield rule.path, partial(rule.covers, on=self._today)

    def add(self, kind: DifferenceKind, path: str, authority: JsonValue, shadow: JsonValue, *, allowed_by: str | None = None) -> None:
        """Take a difference; `allowed_by` is the rule that says it may be, where the finder knows."""
        if self.changed and kind not in _AS_THEY_ARE:
            kind = DifferenceKind.EFFECT_CHANGED
        self._settled = self._settled and not (_TYPED.search(path) or _holds_marks(authority) or _holds_marks(shadow))
        path = path[:_MAX_PATH_CHARS]
        rule = allowed_by or self._rule(kind, path, authority, shadow)
        severity = _INCOMPLETE if kind is DifferenceKind.INCOMPLETE else _SEVERITY[self.aspect]
        if rule is None and (self._worst is None or severity < self._worst):
            self._worst = severity
        fingerprint = (self.aspect, kind, path)
        self._alike[fingerprint] += 1
        found = self._found.setdefault((rule is not None, severity), [])
        if self._alike[fingerprint] > _MAX_ALIKE:
            return
        if len(found) >= MAX_DIFFERENCES:
            self._left_out += self._alike[fingerprint] == 1
            return
        found.append(
            Difference(aspect=self.aspect, kind=kind, path=path, authority=_sample(authority), shadow=_sample(shadow), ignored_by=rule)
        )

    def _rule(self, kind: DifferenceKind, path: str, authority: JsonValue, shadow: JsonValue) -> str | None:
        rule = self._rules.ignoring(path, self._today) if self._rules.ignore else None
        if rule is None and kind in _ORDERS and self._rules.unordered:
            rule = self._rules.unordering(path, self._today)
        if rule is None and kind in _NUMERIC and self._rules.tolerance:
            rule = self._rules.tolerating(path, authority, shadow, self._today)
        return rule

    def verdict(self) -> Verdict:
        """The worst class among what no rule hides; `IGNORED` where rules hide all of it."""
        return Verdict.IGNORED if self._worst is None else _VERDICTS[self._worst]

    def differences(self) -> tuple[Difference, ...]:
        """At most `MAX_DIFFERENCES`: those no rule hides first, the worst aspects first; the last says how many had no room."""
        every = [one for rank in sorted(self._found) for one in self._found[rank]]
        over = len(every) - MAX_DIFFERENCES
        if over <= 0 and not self._left_out:
            return tuple(every)
        kept = every[: MAX_DIFFERENCES - 1]
        note = f"{len(every) - len(kept) + self._left_out} more differences"
        last = every[len(kept)] if len(every) > len(kept) else every[-1]
        return (*kept, Difference(aspect=last.aspect, kind=DifferenceKind.TRUNCATED, path="", authority=note, shadow=note))


def _holds_marks(value: JsonValue) -> bool:
    if isinstance(value, str):
        return has_marks(value)
    if isinstance(value, (int, float)):
        return number_mark(value) is not None
    if not isinstance(value, (dict, list, tuple)):
        return False
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError, OverflowError):
        return True
    # An escaped line end would look like a letter before what stands behind it.
    return _TYPED.search(text) is not None or has_marks(_ESCAPE.sub(" ", text))


def _sample(value: JsonValue) -> JsonValue:
    """The value, or the beginning of its text where it is too long to keep."""
    if value is None or isinstance(value, (bool, float)):
        return value
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError, OverflowError):
        return f"<{type(value).__name__} that is not JSON, or too deep>"
    return value if len(text) <= _MAX_SAMPLE_CHARS else f"{text[:_MAX_SAMPLE_CHARS]}... ({len(text)} characters)"
