"""What a person said may differ: ignored paths, tolerances, unordered lists, and which error of one side is which of the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache

from dualrun.contracts import JsonValue

__all__ = [
    "NO_RULES",
    "IgnoreRule",
    "OrderedRule",
    "RedactionRules",
    "Rule",
    "RuleBook",
    "SynonymRule",
    "TaskRules",
    "ToleranceRule",
    "UnorderedRule",
    "path_pattern",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One exception, somebody's and for a reason.

    `path` is a canonical path in which `*` stands for any one segment or part of one and `**` for any number of segments; a list
    element is `[*]`. It covers what it names and everything below.
    """

    id: str
    path: str
    owner: str
    reason: str
    expires: date | None = None
    """The last day it holds, by the UTC date on which the later side ended."""

    def covers(self, path: str, on: date) -> bool:
        return self.holds(on) and path_pattern(self.path).match(path) is not None

    def holds(self, on: date) -> bool:
        """Whether it has not expired by that day."""
        return self.expires is None or on <= self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRule(Rule):
    """Differences at the path are counted and do not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToleranceRule(Rule):
    """Numbers at the path may differ by `max(absolute, relative * max(|a|, |b|))`."""

    absolute: float = 0.0
    relative: float = 0.0

    def allows(self, authority: JsonValue, shadow: JsonValue) -> bool:
        a, b = _number(authority), _number(shadow)
        if a is None or b is None:
            return False
        return abs(a - b) <= max(self.absolute, self.relative * max(abs(a), abs(b)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnorderedRule(Rule):
    """The order of the list at the path does not matter. It covers that list alone, not the lists inside its members."""

    def covers(self, path: str, on: date) -> bool:
        return self.holds(on) and path_pattern(self.path).fullmatch(path) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedRule(Rule):
    """The effects at the path must come in the same order, whatever their keys. Without it only effects with one key must."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SynonymRule(Rule):
    """What the legacy side calls one thing, the events side calls another: a state (`/state`), or the kind of an error (`/error`)."""

    legacy: str
    events: str

    def relates(self, legacy: str, events: str, on: date) -> bool:
        return (self.legacy, self.events) == (legacy, events) and self.holds(on)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionRules:
    """What is never kept of a task's records, beside headers and members with the name of a secret."""

    paths: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    """`email`, `card`, `token`."""
    values: bool = False
    """Whether the authority's value loses what has the name of a secret too: for tasks whose callers do not read it back."""

    def over(self, default: RedactionRules) -> RedactionRules:
        """These and the default's."""
        return RedactionRules(
            paths=self.paths + default.paths,
            names=self.names + default.names,
            patterns=tuple(dict.fromkeys(self.patterns + default.patterns)),
            values=self.values or default.values,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRules:
    """The rules of one task. Without any, whatever differs is a difference."""

    ignore: tuple[IgnoreRule, ...] = ()
    tolerance: tuple[ToleranceRule, ...] = ()
    unordered: tuple[UnorderedRule, ...] = ()
    ordered: tuple[OrderedRule, ...] = ()
    states: tuple[SynonymRule, ...] = ()
    """States the sides end in that mean the same."""
    errors: tuple[SynonymRule, ...] = ()
    """Kinds of errors that mean the same."""
    error_messages: bool = False
    """Whether the messages of errors are compared too."""
    redaction: RedactionRules = RedactionRules()

    def ignoring(self, path: str, on: date) -> str | None:
        """The id of the first rule in force that ignores the path."""
        return _first(self.ignore, path, on)

    def unordering(self, path: str, on: date) -> str | None:
        """The id of the first rule in force that calls the list at the path unordered."""
        return _first(self.unordered, path, on)

    def tolerating(self, path: str, authority: JsonValue, shadow: JsonValue, on: date) -> str | None:
        """The id of the first rule in force that lets two numbers at the path differ by as much."""
        return next((rule.id for rule in self.tolerance if rule.covers(path, on) and rule.allows(authority, shadow)), None)

    def over(self, default: TaskRules) -> TaskRules:
        """These rules and the default's; these come first."""
        return replace(
            self,
            ignore=self.ignore + default.ignore,
            tolerance=self.tolerance + default.tolerance,
            unordered=self.unordered + default.unordered,
            ordered=self.ordered + default.ordered,
            states=_over(self.states, default.states),
            errors=_over(self.errors, default.errors),
            error_messages=self.error_messages or default.error_messages,
            redaction=self.redaction.over(default.redaction),
        )


NO_RULES = TaskRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """Every task's rules, and the version they are stored under with each comparison."""

    version: str = ""
    """A short hash of the content; empty for no rules at all."""
    tasks: Mapping[str, TaskRules] = field(default_factory=dict)
    default: TaskRules = NO_RULES
    """For tasks that have no rules of their own. Those of `tasks` hold the default's already."""

    def for_task(self, task: str) -> TaskRules:
        return self.tasks.get(task, self.default)


def _over(own: tuple[SynonymRule, ...], default: tuple[SynonymRule, ...]) -> tuple[SynonymRule, ...]:
    """The task's own word on what the legacy side calls something stands."""
    named = {rule.legacy for rule in own}
    return own + tuple(rule for rule in default if rule.legacy not in named)


def _first(rules: Iterable[Rule], path: str, on: date) -> str | None:
    return next((rule.id for rule in rules if rule.covers(path, on)), None)


@lru_cache(maxsize=4096)
def path_pattern(pattern: str) -> re.Pattern[str]:
    """What a rule's path matches at the beginning of a canonical path: `*`, `**` and `[*]` as `Rule` explains them."""
    parts = []
    for segment in pattern.strip("/").split("/"):
        if segment == "**":
            parts.append(r"(?:/[^/]*)*?")
        else:
            parts.append("/" + "[^/]*".join(map(re.escape, segment.replace("[*]", "\0").split("*"))).replace("\0", r"\[\*\]"))
    return re.compile("".join(parts) + r"(?=/|\Z)")


def _number(value: JsonValue) -> float | None:
    # Decimals cross the wire as text, so text that reads as a number counts as one here.
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
