"""Canonical forms of two outcomes: what they made up on the way (ids, times) becomes placeholders both share.

An id or a time seen on both sides, or given by the caller, is no invention and stays itself, so a lost or wrong one is still found.
Generated ids are paired by where they are seen (`correspondence`). Times are paired by their distance from the start of their run:
`now()` and `now() + 1 h` differ between two runs by as much as the runs do, a due date that is a day off does not.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from math import isfinite

import msgspec

from dualrun.contracts import JsonValue
from gateway.comparison.bounds import MAX_DEPTH, MAX_NODES, Budget
from gateway.comparison.correspondence import ANONYMOUS, correspondence
from gateway.comparison.marks import (
    MAX_MARK_CHARS,
    MIN_MARK_CHARS,
    Instant,
    IsoDate,
    Mark,
    Ulid,
    Uuid,
    marks_in,
    matches_in,
    microseconds,
    number_mark,
    renamed,
    spelling_of,
)

__all__ = ["Likeness", "Run", "canonicalise", "likeness", "rename", "unwrap"]

_SLACK_US = 60_000_000
"""How far apart two times may be, measured from the start of their runs, beyond the longer run itself: clocks of other machines."""
_EPOCH_NEAR_US = 31 * 86_400 * 1_000_000
"""A number that stands for a moment farther from the run than that is taken for a number: few numbers lie so near by chance."""
# Sorted, so that members in another order do not matter.
_encode = msgspec.json.Encoder(order="deterministic").encode
_TYPED = frozenset({"__type__", "__value__"})

_Names = dict[Mark, str]
_Marks = tuple[dict[Mark, None], dict[Mark, None]]
"""Of the authority and of the shadow, in order of appearance."""
_Made = tuple[list[Mark], list[Mark]]


@dataclass(frozen=True, slots=True)
class Run:
    """When one side worked."""

    started_at: datetime
    ended_at: datetime

    @property
    def start_us(self) -> int:
        return microseconds(self.started_at)

    @property
    def length_us(self) -> int:
        return max(0, microseconds(self.ended_at) - self.start_us)

    @property
    def day(self) -> int:
        return self.started_at.astimezone(UTC).toordinal()


def canonicalise(authority: JsonValue, shadow: JsonValue, runs: tuple[Run, Run], given: JsonValue = None) -> tuple[JsonValue, JsonValue]:
    """Both values with typed objects unwrapped and generated ids and times as placeholders; what needs no change is not copied.

    Raises `BudgetSpent` on values too large to look at.
    """
    plain = unwrap(authority, Budget()), unwrap(shadow, Budget())
    marks = tuple(_marks(value) for value in plain)
    if not (marks[0] and marks[1]):
        return plain
    names, made = _names_of_times((marks[0], marks[1]), runs, _marks(unwrap(given, Budget())))
    _name_uuids(names, made, plain)
    return rename(plain[0], names[0], Budget()), rename(plain[1], names[1], Budget())


class Likeness(Enum):
    """What a quick look at two values proves."""

    SAME = auto()
    """They are equal."""
    RENAMED = auto()
    """They are equal but for made-up ids and times."""
    UNKNOWN = auto()
    """Nothing: what is written in another order, or as another type of number, may still be equal."""


def likeness(authority: JsonValue, shadow: JsonValue, runs: tuple[Run, Run], given: JsonValue = None) -> Likeness:
    """The quick proof for faithful ports: both written out, members sorted, and their ids and times taken in the order they stand there."""
    try:
        texts = _encode(authority).decode(), _encode(shadow).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return Likeness.UNKNOWN
    # Not a number is written as null, and equals nothing.
    if "null" in texts[0] and (_holds_nan(authority) or _holds_nan(shadow)):
        return Likeness.UNKNOWN
    if texts[0] == texts[1]:
        return Likeness.SAME
    return Likeness.RENAMED if _differ_in_marks_alone(texts, runs, given) else Likeness.UNKNOWN


def _differ_in_marks_alone(texts: tuple[str, str], runs: tuple[Run, Run], given: JsonValue) -> bool:
    if not _first_differs_in_a_mark(*texts):
        return False
    found = list(matches_in(texts[0])), list(matches_in(texts[1]))
    if len(found[0]) != len(found[1]) or not found[0] or not _same_between(texts, found):
        return False
    marks = dict.fromkeys(mark for _, mark in found[0]), dict.fromkeys(mark for _, mark in found[1])
    names, made = _names_of_times(marks, runs, _marks(unwrap(given, Budget())))
    uuids = _uuids(made)
    if len(uuids[0]) != len(uuids[1]):
        return False
    for number, pair in enumerate(zip(*uuids, strict=True)):
        for side, mark in enumerate(pair):
            names[side][mark] = _named(mark, number)
    return all(
        names[0].get(ours, left.group()) == names[1].get(theirs, right.group())
        for (left, ours), (right, theirs) in zip(*found, strict=True)
    )


def _first_differs_in_a_mark(ours: str, theirs: str) -> bool:
    """Spares the search for marks in texts that differ in something else; texts are compared by halves, which costs next to nothing."""
    same, differs = 0, min(len(ours), len(theirs)) + 1
    while differs - same > 1:
        middle = (same + differs) // 2
        if ours[same:middle] == theirs[same:middle]:
            same = middle
        else:
            differs = middle
    start = max(0, same - MAX_MARK_CHARS)
    return any(start + match.end() > same for match, _ in matches_in(ours[start : same + MAX_MARK_CHARS]))


_Found = list[tuple[re.Match[str], Mark]]


def _same_between(texts: tuple[str, str], found: tuple[_Found, _Found]) -> bool:
    """Whether what stands between the marks is the same."""
    ends = 0, 0
    for (left, _), (right, _) in zip(*found, strict=True):
        if texts[0][ends[0] : left.start()] != texts[1][ends[1] : right.start()]:
            return False
        ends = left.end(), right.end()
    return texts[0][ends[0] :] == texts[1][ends[1] :]


def unwrap(value: JsonValue, budget: Budget, depth: int = 0) -> JsonValue:
    """The value with kombu's typed objects (`{"__type__": ..., "__value__": ...}`) as the plain JSON they stand for.

    Raises `BudgetSpent`.
    """
    if depth >= MAX_DEPTH:
        return value
    if isinstance(value, dict):
        budget.spend(len(value))
        if value.keys() == _TYPED:
            return _plain(value["__type__"], unwrap(value["__value__"], budget, depth + 1))
        return {key: unwrap(member, budget, depth + 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        budget.spend(len(value))
        return [unwrap(item, budget, depth + 1) for item in value]
    return value


def rename(value: JsonValue, names: Mapping[Mark, str], budget: Budget, depth: int = 0) -> JsonValue:
    """The value with every mark that has a name written as that, in keys too. Raises `BudgetSpent`."""
    if isinstance(value, str):
        return renamed(value, names)
    if isinstance(value, (int, float)):
        mark = number_mark(value)
        # A number that stands for a moment is no text that does.
        return f"number {names[mark]}" if mark is not None and mark in names else value
    if depth >= MAX_DEPTH:
        return value
    if isinstance(value, dict):
        budget.spend(len(value))
        copy: dict[str, JsonValue] = {}
        for key, member in value.items():
            name = renamed(key, names)
            # Two times may share a name; two keys of an object may not.
            while name in copy:
                name += "'"
            copy[name] = rename(member, names, budget, depth + 1)
        return copy
    if isinstance(value, (list, tuple)):
        budget.spend(len(value))
        return [rename(item, names, budget, depth + 1) for item in value]
    return value


def _plain(kind: JsonValue, value: JsonValue) -> JsonValue:
    if kind == "uuid" and isinstance(value, dict) and isinstance(value.get("hex"), str):
        digits = value["hex"].replace("-", "").lower()
        return spelling_of(Uuid(digits)) if len(digits) == 32 else digits
    if kind == "base64" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            return value
    return value


def _marks(value: JsonValue) -> dict[Mark, None]:
    text = "\n".join(_texts(value))
    return dict.fromkeys(marks_in(text))


def _texts(value: JsonValue) -> Iterable[str]:
    budget, todo = Budget(), [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            if len(one) >= MIN_MARK_CHARS:
                yield one
        elif isinstance(one, (int, float)):
            if number_mark(one) is not None:
                yield repr(one)
        elif isinstance(one, dict):
            budget.spend(len(one))
            yield from one
            todo.extend(one.values())
        elif isinstance(one, (list, tuple)):
            budget.spend(len(one))
            todo.extend(one)


def _names_of_times(marks: _Marks, runs: tuple[Run, Run], given: dict[Mark, None]) -> tuple[tuple[_Names, _Names], _Made]:
    """Names for what both sides wrote and for times, and what each side made up."""
    ours, theirs = marks
    same = {mark: spelling_of(mark) for mark in ours if mark in theirs}
    made = (
        [mark for mark in ours if mark not in theirs and mark not in given],
        [mark for mark in theirs if mark not in ours and mark not in given],
    )
    names: tuple[_Names, _Names] = (dict(same), dict(same))
    if made[0] and made[1]:
        _name_times(names, made, runs)
        _name_days(names, made, runs)
    return names, made


def _name_times(names: tuple[_Names, _Names], made: _Made, runs: tuple[Run, Run]) -> None:
    seen = [(mark.us - runs[side].start_us, side, mark) for side in (0, 1) for mark in made[side] if isinstance(mark, Instant)]
    seen = [row for row in seen if not row[2].is_number or abs(row[0]) <= _EPOCH_NEAR_US]
    seen.sort(key=lambda row: row[:2])
    slack = _SLACK_US + max(run.length_us for run in runs)
    clusters: list[list[tuple[int, int, Instant]]] = []
    for row in seen:
        if clusters and row[0] - clusters[-1][-1][0] <= slack:
            clusters[-1].append(row)
        else:
            clusters.append([row])
    both = [cluster for cluster in clusters if {side for _, side, _ in cluster} == {0, 1}]
    for number, cluster in enumerate(both, 1):
        for _, side, mark in cluster:
            names[side][mark] = f"<time:{number}{mark.form and ' '}{mark.form}>"


def _name_days(names: tuple[_Names, _Names], made: _Made, runs: tuple[Run, Run]) -> None:
    ours, theirs = ({mark.ordinal - run.day for mark in side if isinstance(mark, IsoDate)} for side, run in zip(made, runs, strict=True))
    for number, distance in enumerate(sorted(ours & theirs), 1):
        for side, run in enumerate(runs):
            names[side][IsoDate(run.day + distance)] = f"<date:{number}>"


def _uuids(made: _Made) -> tuple[list[Mark], list[Mark]]:
    return [mark for mark in made[0] if isinstance(mark, Uuid)], [mark for mark in made[1] if isinstance(mark, Uuid)]


def _name_uuids(names: tuple[_Names, _Names], made: _Made, values: tuple[JsonValue, JsonValue]) -> None:
    uuids = _uuids(made)
    if not (uuids[0] and uuids[1]):
        return
    anonymous = (names[0] | dict.fromkeys(uuids[0], ANONYMOUS), names[1] | dict.fromkeys(uuids[1], ANONYMOUS))
    for number, (ours, theirs) in enumerate(correspondence(*values, anonymous, Budget(4 * MAX_NODES)), 1):
        names[0][ours], names[1][theirs] = _named(ours, number), _named(theirs, number)


def _named(mark: Mark, number: int) -> str:
    return f"<{'ulid' if isinstance(mark, Ulid) else 'uuid'}:{number}>"


def _holds_nan(value: JsonValue) -> bool:
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, float):
            if not isfinite(one):
                return True
        elif isinstance(one, dict):
            todo.extend(one.values())
        elif isinstance(one, (list, tuple)):
            todo.extend(one)
    return False
