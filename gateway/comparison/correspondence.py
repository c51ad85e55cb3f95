"""Which generated id of one side is which of the other.

Ids made up during a run (`uuid4()`) differ on the two sides although they stand for the same thing. Two of them correspond when they
are seen in the same place. Places are told apart as sharply as they can be and then ever more loosely, so that neither another order
of a list nor a missing effect makes every id after it look wrong. The result does not depend on which side is called the authority.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from dualrun.contracts import JsonValue
from gateway.comparison.bounds import MAX_DEPTH, Budget
from gateway.comparison.forms import Forms, Numbering
from gateway.comparison.marks import MARK, Mark, Uuid, mark_of, renamed
from gateway.comparison.paths import segment_of

__all__ = ["ANONYMOUS", "correspondence"]

_LEVELS = 4
ANONYMOUS = "<uuid>"
"""The name an id has until it is known which id of the other side it stands for."""


def correspondence(
    authority: JsonValue, shadow: JsonValue, generated: tuple[Mapping[Mark, str], Mapping[Mark, str]], budget: Budget
) -> list[tuple[Mark, Mark]]:
    """Pairs of ids, in an order of their own. `generated` says of each side which marks are made up, and names its times.

    Raises `BudgetSpent`.
    """
    numbers: Numbering = {}
    ours, theirs = (_Sightings(names, numbers, budget).see(value) for value, names in zip((authority, shadow), generated, strict=True))
    paired: dict[Mark, Mark] = {}
    taken: set[Mark] = set()
    for level in range(_LEVELS):
        for left, right in _shared_places(ours[level], theirs[level]):
            free_left = [mark for mark in left if mark not in paired]
            free_right = [mark for mark in right if mark not in taken]
            for one, other in zip(free_left, free_right, strict=False):
                paired[one] = other
                taken.add(other)
    return list(paired.items())


_Places = dict[Hashable, dict[Mark, None]]


def _shared_places(ours: _Places, theirs: _Places) -> Iterator[tuple[dict[Mark, None], dict[Mark, None]]]:
    rank_theirs = {place: n for n, place in enumerate(theirs)}
    shared = [
        (len(marks) + len(theirs[place]), n + rank_theirs[place], marks, theirs[place])
        for n, (place, marks) in enumerate(ours.items())
        if place in theirs
    ]
    shared.sort(key=lambda row: row[:2])
    return ((row[2], row[3]) for row in shared)


@dataclass(slots=True)
class _Sightings:
    """Where each generated id of one side is seen."""

    names: Mapping[Mark, str]
    numbers: Numbering
    budget: Budget
    forms: Forms = field(init=False)
    levels: list[_Places] = field(default_factory=lambda: [{} for _ in range(_LEVELS)])

    def __post_init__(self) -> None:
        self.forms = Forms(self.budget, self.numbers, text=self._anonymous, ordered=False)

    def see(self, tree: JsonValue) -> list[_Places]:
        self._walk(tree, 0, 0, 0, 0)
        return self.levels

    def _walk(self, value: JsonValue, path: int, member: int, chain: int, depth: int) -> None:
        """`member` is the form of the nearest list member around the value, `chain` stands for all of them."""
        self.budget.spend()
        if isinstance(value, str):
            self._text(value, path, member, chain)
        elif depth >= MAX_DEPTH:
            return
        elif isinstance(value, dict):
            for key in sorted(value):
                inner = self._number((path, segment_of(key)))
                self._text(key, inner, member, chain)
                self._walk(value[key], inner, member, chain, depth + 1)
        elif isinstance(value, (list, tuple)):
            inner = self._number((path, "[*]"))
            for item in value:
                form = self.forms.of(item, depth)
                self._walk(item, inner, form, self._number((chain, form)), depth + 1)

    def _text(self, text: str, path: int, member: int, chain: int) -> None:
        if MARK.search(text) is None:
            return
        template = self._number(self._anonymous(text))
        for n, match in enumerate(MARK.finditer(text)):
            mark = mark_of(match)
            if not isinstance(mark, Uuid) or self.names.get(mark) != ANONYMOUS:
                continue
            for level, place in enumerate(((path, template, n, chain), (path, template, n, member), (path, template, n), (path, n))):
                self.levels[level].setdefault((level, *place), {})[mark] = None

    def _anonymous(self, text: str) -> str:
        return renamed(text, self.names)

    def _number(self, key: Hashable) -> int:
        return self.numbers.setdefault(("place", key), len(self.numbers))
