"""The typed difference of two JSON values: what is missing, extra, of another type, in another order; bounded and linear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from dualrun.contracts import JsonValue
from gateway.comparison.bounds import MAX_DEPTH, Budget
from gateway.comparison.forms import Forms, Numbering
from gateway.comparison.paths import MEMBER, is_keyed_by_id
from gateway.core.comparison import DifferenceKind

__all__ = ["Diff", "Sink", "encoded_alike"]

_KINDS: Mapping[type, str] = {
    dict: "object",
    list: "array",
    tuple: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
_ENCODED_DEPTH = 4
"""Down to here lists are first compared by their encoding; deeper, encoding every list in a list would be quadratic."""
_encode = msgspec.json.Encoder().encode
_SCALARS = frozenset({str, int, bool, type(None)})


class Sink(Protocol):
    """Takes differences as they are found."""

    def add(self, kind: DifferenceKind, path: str, authority: JsonValue, shadow: JsonValue) -> None: ...

    def see_key(self, key: str) -> None:
        """A key that only one side has, and that is no part of the path."""
        ...

    def is_unordered(self, path: str) -> bool:
        """Whether a rule calls the list at the path unordered."""
        ...


class Diff:
    """Walks two values side by side. One instance serves the whole of two outcomes, so that the budget is one too."""

    __slots__ = ("_budget", "_forms", "_sink", "at")

    def __init__(self, sink: Sink, budget: Budget) -> None:
        numbers: Numbering = {}
        self._sink = sink
        self._budget = budget
        self._forms = Forms(budget, numbers)
        self.at = ""
        """Where the walk is, for the one who hears that the budget is spent."""

    def form_of(self, value: JsonValue) -> int:
        """Equal for values this walk calls equal. Raises `BudgetSpent`."""
        return self._forms.of(value)

    def values(self, authority: JsonValue, shadow: JsonValue, path: str, depth: int = 0) -> None:
        """Raises `BudgetSpent`."""
        self.at = path
        self._budget.spend()
        kind = _kind(authority)
        if kind != _kind(shadow):
            self._sink.add(DifferenceKind.TYPE, path, authority, shadow)
        elif kind in ("object", "array") and depth >= MAX_DEPTH:
            self._sink.add(DifferenceKind.TRUNCATED, path, None, None)
        elif isinstance(authority, dict) and isinstance(shadow, dict):
            self._objects(authority, shadow, path, depth)
        elif isinstance(authority, (list, tuple)) and isinstance(shadow, (list, tuple)):
            self._arrays(authority, shadow, path, depth)
        elif authority != shadow:
            self._sink.add(DifferenceKind.VALUE, path, authority, shadow)

    def _objects(self, ours: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue], path: str, depth: int) -> None:
        self._budget.spend(len(ours))
        by_id: bool | None = None
        for key, member in ours.items():
            if key not in theirs:
                continue
            other = theirs[key]
            if type(member) is type(other) and type(member) in _SCALARS and member == other:
                continue
            by_id = is_keyed_by_id(ours, theirs) if by_id is None else by_id
            self.values(member, other, f"{path}/{'*' if by_id else key}", depth + 1)
        if len(ours) != len(theirs) or ours.keys() != theirs.keys():
            self._keys(ours, theirs, path)

    def _keys(self, ours: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue], path: str) -> None:
        by_id = is_keyed_by_id(ours, theirs)
        for kind, one, other in ((DifferenceKind.MISSING, ours, theirs), (DifferenceKind.EXTRA, theirs, ours)):
            for key, member in one.items():
                if key in other:
                    continue
                if by_id:
                    self._sink.see_key(key)
                pair = (member, None) if kind is DifferenceKind.MISSING else (None, member)
                self._sink.add(kind, f"{path}/{'*' if by_id else key}", *pair)

    def _arrays(self, ours: Sequence[JsonValue], theirs: Sequence[JsonValue], path: str, depth: int) -> None:
        if depth <= _ENCODED_DEPTH and encoded_alike(ours, theirs):
            return
        forms = [self._forms.of(item, depth + 1) for item in ours], [self._forms.of(item, depth + 1) for item in theirs]
        if forms[0] == forms[1]:
            return
        counts = Counter(forms[0]), Counter(forms[1])
        if counts[0] == counts[1]:
            self._sink.add(DifferenceKind.ORDER, path, list(ours), list(theirs))
            return
        inner = f"{path}/{MEMBER}"
        if len(ours) == len(theirs):
            pairs = list(zip(range(len(ours)), range(len(theirs)), strict=True))
            if self._sink.is_unordered(path):
                pairs = list(zip(_left_over(forms[0], counts[1]), _left_over(forms[1], counts[0]), strict=True))
            for left, right in pairs:
                if forms[0][left] != forms[1][right]:
                    self.values(ours[left], theirs[right], inner, depth + 1)
            return
        self._sink.add(DifferenceKind.LENGTH, path, len(ours), len(theirs))
        for left in _left_over(forms[0], counts[1]):
            self._sink.add(DifferenceKind.MISSING, inner, ours[left], None)
        for right in _left_over(forms[1], counts[0]):
            self._sink.add(DifferenceKind.EXTRA, inner, None, theirs[right])


def encoded_alike(ours: JsonValue, theirs: JsonValue) -> bool:
    """Whether both encode the same: cheap, and sure, for true and 1 encode differently. Null is no proof: NaN encodes as null too."""
    try:
        text = _encode(ours)
        return text == _encode(theirs) and b"null" not in text
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False


def _left_over(forms: Sequence[int], others: Counter[int]) -> list[int]:
    """Where the members are that the other multiset does not have (as often)."""
    left = Counter(others)
    places = []
    for place, form in enumerate(forms):
        if left[form] > 0:
            left[form] -= 1
        else:
            places.append(place)
    return places


def _kind(value: JsonValue) -> str:
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    return "string" if isinstance(value, str) else type(value).__name__
