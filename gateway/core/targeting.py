"""Who a flag's rules name, and what a cohort is dealt by: paths into a submission, and a table of operators. Pure.

A rule is data. Nothing in it is ever evaluated as code, and no operator costs more than the value it looks at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Protocol, TypeAlias

from msgspec import Struct

from dualrun.contracts import JsonObject, JsonValue, Mode
from gateway.core.errors import FieldError
from gateway.core.share import percent_of

__all__ = [
    "COHORT_KEY_MAX",
    "NOBODY",
    "Condition",
    "ConditionValue",
    "HeaderLookup",
    "Operator",
    "Rule",
    "Subject",
    "check_cohort_path",
    "check_rules",
    "cohort_key_at",
    "first_match",
]

COHORT_KEY_MAX = 200
_RULES_MAX, _CONDITIONS_MAX, _VALUES_MAX, _PATH_MAX = 50, 20, 200, 200
_RULE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_PATH = re.compile(r"(?P<root>[a-z]+)(?P<steps>(?:\.[A-Za-z0-9_\-]+|\[[0-9]{1,4}\])+)")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>[0-9]+)\]")
_KEPT = ("args", "kwargs", "attributes")
_HEADERS = "headers"

_Scalar: TypeAlias = str | int | float | bool | None
ConditionValue: TypeAlias = _Scalar | tuple[_Scalar, ...]
HeaderLookup: TypeAlias = Callable[[str], str | None]
"""The value of a request's header, by its name in any case."""


class Subject(Protocol):
    """What rules may look at: the part of a submission that stays with it."""

    @property
    def args(self) -> Sequence[JsonValue]: ...
    @property
    def kwargs(self) -> JsonObject: ...
    @property
    def attributes(self) -> JsonObject: ...


@dataclass(frozen=True, slots=True)
class _Nobody:
    args: Sequence[JsonValue]
    kwargs: JsonObject
    attributes: JsonObject


NOBODY: Subject = _Nobody((), {}, {})
"""A submission without arguments and attributes."""


class Operator(StrEnum):
    """How a condition compares what a path leads to. Where it leads nowhere, `missing` alone holds."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "not_in"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    """A text holds a text, or a list an item."""
    GLOB = "glob"
    """`*`, `?` and `[...]` over the whole text, as in the names of flags."""
    EXISTS = "exists"
    MISSING = "missing"


class Condition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One comparison. `path` is `kwargs.user.id`, `args[0]` or `attributes.tenant`."""

    path: str
    operator: Operator
    value: ConditionValue = None


class Rule(Struct, frozen=True, kw_only=True):
    """Mode and shares for the submissions of which every condition holds."""

    name: str
    when: tuple[Condition, ...]
    mode: Mode
    events_share: int = 0
    shadow_share: int = 0

    def __str__(self) -> str:
        """For people to read in a list of changes."""
        when = " and ".join(_said(condition) for condition in self.when)
        return f"{when}: {self.mode.value}, events {percent_of(self.events_share):g} %, shadow {percent_of(self.shadow_share):g} %"


def first_match(rules: Sequence[Rule], subject: Subject) -> Rule | None:
    """The first rule all of whose conditions hold."""
    for rule in rules:
        if all(_holds(condition, subject) for condition in rule.when):
            return rule
    return None


def cohort_key_at(path: str, subject: Subject, header: HeaderLookup | None = None) -> str | None:
    """The text, number or truth value a path leads to, as a cohort key; None where there is none.

    1, 1.0 and "1" are one key. A key longer than `COHORT_KEY_MAX`, or one that cannot be shown, is dealt by its SHA-256.
    """
    root, steps = _parsed(path)
    value: object = (header(str(steps[0])) if header is not None else None) if root == _HEADERS else _found(root, steps, subject)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, (str, int, float)) or value == "":
        return None
    text = str(value)
    if len(text) <= COHORT_KEY_MAX and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_cohort_path(path: str) -> Iterator[FieldError]:
    """What is wrong with the path a flag deals its cohorts by; empty is none."""
    if path:
        yield from _path_errors(path, "/cohort_path", (*_KEPT, _HEADERS))


def check_rules(rules: Sequence[Rule]) -> Iterator[FieldError]:
    """What is wrong with a flag's rules, shares aside."""
    if len(rules) > _RULES_MAX:
        yield FieldError("/rules", f"holds at most {_RULES_MAX} rules")
    names: set[str] = set()
    for index, rule in enumerate(rules):
        at = f"/rules/{index}"
        if _RULE_NAME.fullmatch(rule.name) is None:
            yield FieldError(f"{at}/name", "is 1 to 64 letters, digits, _ . -")
        if rule.name in names:
            yield FieldError(f"{at}/name", f"another rule is called {rule.name!r}")
        names.add(rule.name)
        if not 1 <= len(rule.when) <= _CONDITIONS_MAX:
            yield FieldError(f"{at}/when", f"holds 1 to {_CONDITIONS_MAX} conditions, and all must hold; for `or`, write another rule")
        for number, condition in enumerate(rule.when):
            yield from _condition_errors(condition, f"{at}/when/{number}")


def _condition_errors(condition: Condition, at: str) -> Iterator[FieldError]:
    # What a rule looks at stays with the submission, so that it can be decided again on the way; a request's headers do not.
    yield from _path_errors(condition.path, f"{at}/path", _KEPT)
    shape = _SHAPES[condition.operator]
    if not shape.fits(condition.value):
        yield FieldError(f"{at}/value", f"`{condition.operator}` {shape.wants}")


def _path_errors(path: str, pointer: str, roots: Sequence[str]) -> Iterator[FieldError]:
    match = _PATH.fullmatch(path) if len(path) <= _PATH_MAX else None
    if match is None or match["root"] not in roots or not _fits_root(match["root"], match["steps"]):
        forms = {"args": "args[0]", "kwargs": "kwargs.user_id", "attributes": "attributes.tenant", "headers": "headers.x-tenant"}
        yield FieldError(pointer, f"is a path such as {', '.join(forms[root] for root in roots)}")


def _fits_root(root: str, steps: str) -> bool:
    if root == "args":
        return steps.startswith("[")
    return steps.startswith(".") and (root == "kwargs" or len(_STEP.findall(steps)) == 1)


@lru_cache(maxsize=4_096)
def _parsed(path: str) -> tuple[str, tuple[str | int, ...]]:
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"{path!r} is not a path")
    return match["root"], tuple(int(step["index"]) if step["index"] else step["name"] for step in _STEP.finditer(match["steps"]))


def _found(root: str, steps: Sequence[str | int], subject: Subject) -> object:
    """What the steps lead to; `_NOWHERE` where there is nothing."""
    value: object = getattr(subject, root)
    for step in steps:
        if isinstance(step, str):
            value = value.get(step, _NOWHERE) if isinstance(value, Mapping) else _NOWHERE
        elif isinstance(value, Sequence) and not isinstance(value, str) and step < len(value):
            value = value[step]
        else:
            value = _NOWHERE
        if value is _NOWHERE:
            return _NOWHERE
    return value


def _holds(condition: Condition, subject: Subject) -> bool:
    found = _found(*_parsed(condition.path), subject)
    if found is _NOWHERE:
        return condition.operator is Operator.MISSING
    return _OPERATORS[condition.operator](found, condition.value)


def _same(found: object, value: object) -> bool:
    # Python takes True for 1; JSON does not.
    return found == value and isinstance(found, bool) == isinstance(value, bool)


def _among(found: object, values: object) -> bool:
    return isinstance(values, tuple) and any(_same(found, value) for value in values)


def _contains(found: object, value: object) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    return isinstance(found, Sequence) and any(_same(item, value) for item in found)


def _ordered(holds: Callable[[int], bool]) -> Callable[[object, object], bool]:
    """A comparison of two numbers or two texts; nothing else has an order."""

    def compare(found: object, value: object) -> bool:
        if isinstance(found, str) and isinstance(value, str):
            return holds((found > value) - (found < value))
        if _is_number(found) and _is_number(value):
            return holds((found > value) - (found < value))  # type: ignore[operator]  # both are numbers
        return False

    return compare


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(holds: Callable[[str, str], bool]) -> Callable[[object, object], bool]:
    return lambda found, value: isinstance(found, str) and isinstance(value, str) and holds(found, value)


_NOWHERE = object()
_OPERATORS: Mapping[Operator, Callable[[object, object], bool]] = {
    Operator.EQ: _same,
    Operator.NE: lambda found, value: not _same(found, value),
    Operator.IN: _among,
    Operator.NOT_IN: lambda found, values: not _among(found, values),
    Operator.LT: _ordered(lambda order: order < 0),
    Operator.LE: _ordered(lambda order: order <= 0),
    Operator.GT: _ordered(lambda order: order > 0),
    Operator.GE: _ordered(lambda order: order >= 0),
    Operator.STARTS_WITH: _texts(str.startswith),
    Operator.ENDS_WITH: _texts(str.endswith),
    Operator.CONTAINS: _contains,
    Operator.GLOB: _texts(fnmatchcase),
    Operator.EXISTS: lambda _found, _value: True,
    Operator.MISSING: lambda _found, _value: False,
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an operator takes as its value."""

    fits: Callable[[ConditionValue], bool]
    wants: str


_LIST = _Shape(lambda value: isinstance(value, tuple) and 1 <= len(value) <= _VALUES_MAX, f"takes a list of 1 to {_VALUES_MAX} values")
_ONE = _Shape(lambda value: not isinstance(value, tuple), "takes one value, not a list")
_ORDERED = _Shape(lambda value: isinstance(value, str) or _is_number(value), "takes a number or a text")
_TEXT = _Shape(lambda value: isinstance(value, str) and value != "", "takes a text")
_NONE = _Shape(lambda value: value is None, "takes no value")
_SHAPES: Mapping[Operator, _Shape] = {
    Operator.EQ: _ONE,
    Operator.NE: _ONE,
    Operator.IN: _LIST,
    Operator.NOT_IN: _LIST,
    Operator.LT: _ORDERED,
    Operator.LE: _ORDERED,
    Operator.GT: _ORDERED,
    Operator.GE: _ORDERED,
    Operator.STARTS_WITH: _TEXT,
    Operator.ENDS_WITH: _TEXT,
    Operator.CONTAINS: _ONE,
    Operator.GLOB: _TEXT,
    Operator.EXISTS: _NONE,
    Operator.MISSING: _NONE,
}


def _said(condition: Condition) -> str:
    if condition.operator in (Operator.EXISTS, Operator.MISSING):
        return f"{condition.path} {condition.operator}"
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return f"{condition.path} {condition.operator} {value!r}"
