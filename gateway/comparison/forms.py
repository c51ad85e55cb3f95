"""Numbers for JSON values: equal values have equal numbers. This is what makes multisets of them linear."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from dualrun.contracts import JsonValue
from gateway.comparison.bounds import MAX_DEPTH, Budget

__all__ = ["Forms", "Numbering", "same_text"]

Numbering = dict[Hashable, int]
"""Numbers given so far. Forms of values that are to be compared must share one."""


def same_text(text: str) -> str:
    return text


class Forms:
    """Numbers values by their content, exactly: no hash that hostile input could collide.

    1 and 1.0 are the same, 1 and true are not, and NaN equals nothing. Values must outlive the object: containers are remembered
    by identity, so that asking again costs nothing.
    """

    __slots__ = ("_budget", "_known", "_numbers", "_ordered", "_text")

    def __init__(self, budget: Budget, numbers: Numbering, *, text: Callable[[str], str] = same_text, ordered: bool = True) -> None:
        self._budget = budget
        self._numbers = numbers
        self._known: dict[int, int] = {}
        self._text = text
        self._ordered = ordered

    def of(self, value: JsonValue, depth: int = 0) -> int:
        """Raises `BudgetSpent`."""
        kind = type(value)
        if kind is str:
            return self._number(self._text(value))  # type: ignore[arg-type]
        if value is None or kind is bool:
            return self._number((kind, value))
        if isinstance(value, (dict, list, tuple)):
            known = self._known.get(id(value))
            if known is None:
                known = self._known[id(value)] = self._of_container(value, depth)
            return known
        if value != value:  # NaN, the one number that is not itself
            return self._number(("nan", len(self._numbers)))
        return self._number((_number if isinstance(value, (int, float)) else kind, _hashable(value)))

    def _of_container(self, value: Mapping[str, JsonValue] | list[JsonValue] | tuple[JsonValue, ...], depth: int) -> int:
        if depth >= MAX_DEPTH:
            return self._number(("deep", len(self._numbers)))
        members = []
        if isinstance(value, dict):
            for key, member in value.items():
                members.append((self._text(key), self.of(member, depth + 1)))
            members.sort()
            return self._number((dict, tuple(members)))
        items = [self.of(item, depth + 1) for item in value]
        if not self._ordered:
            items.sort()
        return self._number((list, tuple(items)))

    def _number(self, key: Hashable) -> int:
        self._budget.spend()
        return self._numbers.setdefault(key, len(self._numbers))


_number = "number"


def _hashable(value: object) -> Hashable:
    # Only JSON comes over the wire; anything else is told apart by how it prints.
    return value if isinstance(value, (int, float)) else repr(value)
