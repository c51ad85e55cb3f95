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
from gateway.comparison.marks import MIN_UUID_CHARS, Mark, Uuid, marks_in, renamed
from gateway.comparison.paths import MEMBER, segment_of

__all__ = ["ANONYMOUS", "correspondence"]

_LEVELS = 4
_ROOT = -1
"""The path of the whole value; places are numbered from 0."""
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


_MAY_HOLD_TEXT = (str, dict, list, tuple)


class _Member:
    """A list member around a text, or what a key stands for; its form is worked out when an id is seen inside."""

    __slots__ = ("around", "chain", "depth", "form", "value")

    def __init__(self, value: JsonValue, around: _Member | None, depth: int) -> None:
        self.value = value
        self.around = around
        self.depth = depth
        self.form = -1
        self.chain: int | None = None


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
        self._walk(tree, _ROOT, None, 0)
        return self.levels

    def _walk(self, value: JsonValue, path: int, around: _Member | None, depth: int) -> None:
        if isinstance(value, str):
            self._text(value, path, around)
        elif depth >= MAX_DEPTH:
            return
        elif isinstance(value, dict):
            self.budget.spend(len(value))
            for key in sorted(value):
                member = value[key]
                if len(key) >= MIN_UUID_CHARS:
                    self._text(key, self._number((path, segment_of(key))), _Member(member, around, depth))
                if isinstance(member, _MAY_HOLD_TEXT):
                    self._walk(member, self._number((path, segment_of(key))), around, depth + 1)
        elif isinstance(value, (list, tuple)):
            self.budget.spend(len(value))
            inner = self._number((path, MEMBER))
            for item in value:
                if isinstance(item, _MAY_HOLD_TEXT):
                    self._walk(item, inner, _Member(item, around, depth), depth + 1)

    def _text(self, text: str, path: int, around: _Member | None) -> None:
        if len(text) < MIN_UUID_CHARS:
            return
        template: int | None = None
        for n, mark in enumerate(marks_in(text)):
            if not isinstance(mark, Uuid) or self.names.get(mark) != ANONYMOUS:
                continue
            if template is None:
                template = self._number(self._anonymous(text))
            nearest, chain = self._forms_around(around)
            for level, place in enumerate(((path, template, n, chain), (path, template, n, nearest), (path, template, n), (path, n))):
                self.levels[level].setdefault((level, *place), {})[mark] = None

    def _forms_around(self, member: _Member | None) -> tuple[int, int]:
        """The form of the nearest list member around a text, and one number for all of them."""
        if member is None:
            return -1, -1
        if member.chain is None:
            member.form = self.forms.of(member.value, member.depth)
            member.chain = self._number((self._forms_around(member.around)[1], member.form))
        return member.form, member.chain

    def _anonymous(self, text: str) -> str:
        return renamed(text, self.names)

    def _number(self, key: Hashable) -> int:
        return self.numbers.setdefault(("place", key), len(self.numbers))
