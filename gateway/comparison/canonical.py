"""Canonical forms of two outcomes: what they made up on the way (ids, times) becomes placeholders both share.

An id or a time seen on both sides, or given by the caller, is no invention and stays itself, so a lost or wrong one is still found.
Generated ids are paired by where they are seen (`correspondence`). Times are paired by their distance from the start of their run:
`now()` and `now() + 1 h` differ between two runs by as much as the runs do, a due date that is a day off does not.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite

import msgspec

from dualrun.contracts import JsonValue
from gateway.comparison.bounds import MAX_DEPTH, MAX_NODES, Budget
from gateway.comparison.correspondence import ANONYMOUS, correspondence
from gateway.comparison.marks import MIN_MARK_CHARS, Instant, IsoDate, Mark, Uuid, marks_in, microseconds, renamed, spelling_of

__all__ = ["Run", "canonicalise", "is_renamed", "rename", "unwrap"]

_SLACK_US = 60_000_000
"""How far apart two times may be, measured from the start of their runs, beyond the longer run itself: clocks of other machines."""
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


def is_renamed(authority: JsonValue, shadow: JsonValue, runs: tuple[Run, Run], given: JsonValue = None) -> bool:
    """Whether the two are the same text but for made-up ids and times, taken in the order they are written.

    The quick proof for faithful ports. A no proves nothing: `canonicalise` also pairs what is in another order.
    """
    try:
        texts = _encode(authority).decode(), _encode(shadow).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    if "null" in texts[0] and (_holds_nan(authority) or _holds_nan(shadow)):
        return False
    marks = dict.fromkeys(marks_in(texts[0])), dict.fromkeys(marks_in(texts[1]))
    names, made = _names_of_times(marks, runs, _marks(unwrap(given, Budget())))
    uuids = _uuids(made)
    if len(uuids[0]) != len(uuids[1]):
        return False
    for number, pair in enumerate(zip(*uuids, strict=True)):
        for side, mark in enumerate(pair):
            names[side][mark] = f"<uuid:{number}>"
    return renamed(texts[0], names[0]) == renamed(texts[1], names[1])


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
    seen = sorted((mark.us - runs[side].start_us, side, mark.us) for side in (0, 1) for mark in made[side] if isinstance(mark, Instant))
    slack = _SLACK_US + max(run.length_us for run in runs)
    clusters: list[list[tuple[int, int, int]]] = []
    for row in seen:
        if clusters and row[0] - clusters[-1][-1][0] <= slack:
            clusters[-1].append(row)
        else:
            clusters.append([row])
    both = [cluster for cluster in clusters if {side for _, side, _ in cluster} == {0, 1}]
    for number, cluster in enumerate(both, 1):
        for _, side, us in cluster:
            names[side][Instant(us)] = f"<time:{number}>"


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
        names[0][ours] = names[1][theirs] = f"<uuid:{number}>"


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
