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

from dualrun.contracts import JsonValue
from gateway.comparison.bounds import MAX_DEPTH, Budget
from gateway.comparison.correspondence import ANONYMOUS, correspondence
from gateway.comparison.marks import MARK, Instant, IsoDate, Mark, Uuid, marks_in, microseconds, renamed, spelling_of

__all__ = ["Run", "canonicalise", "rename", "unwrap"]

_SLACK_US = 60_000_000
"""How far apart two times may be, measured from the start of their runs, beyond the longer run itself: clocks of other machines."""
_TYPED = frozenset({"__type__", "__value__"})


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
    names = _names(plain, (marks[0], marks[1]), runs, _marks(unwrap(given, Budget())))
    return rename(plain[0], names[0], Budget()), rename(plain[1], names[1], Budget())


def unwrap(value: JsonValue, budget: Budget, depth: int = 0) -> JsonValue:
    """The value with kombu's typed objects (`{"__type__": ..., "__value__": ...}`) as the plain JSON they stand for.

    Raises `BudgetSpent`.
    """
    budget.spend()
    if depth >= MAX_DEPTH:
        return value
    if isinstance(value, dict):
        if value.keys() == _TYPED:
            return _plain(value["__type__"], unwrap(value["__value__"], budget, depth + 1))
        return {key: unwrap(member, budget, depth + 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [unwrap(item, budget, depth + 1) for item in value]
    return value


def rename(value: JsonValue, names: Mapping[Mark, str], budget: Budget, depth: int = 0) -> JsonValue:
    """The value with every mark that has a name written as that, in keys too. Raises `BudgetSpent`."""
    budget.spend()
    if isinstance(value, str):
        return renamed(value, names) if len(value) >= len("2026-01-01") else value
    if depth >= MAX_DEPTH:
        return value
    if isinstance(value, dict):
        copy: dict[str, JsonValue] = {}
        for key, member in value.items():
            name = renamed(key, names)
            # Two times may share a name; two keys of an object may not.
            while name in copy:
                name += "'"
            copy[name] = rename(member, names, budget, depth + 1)
        return copy
    if isinstance(value, (list, tuple)):
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
    return dict.fromkeys(marks_in(text)) if MARK.search(text) is not None else {}


def _texts(value: JsonValue) -> Iterable[str]:
    budget, todo = Budget(), [value]
    while todo:
        one = todo.pop()
        budget.spend()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            yield from one
            todo.extend(one.values())
        elif isinstance(one, (list, tuple)):
            todo.extend(one)


_Names = dict[Mark, str]


def _names(
    values: tuple[JsonValue, JsonValue], marks: tuple[dict[Mark, None], dict[Mark, None]], runs: tuple[Run, Run], given: dict[Mark, None]
) -> tuple[_Names, _Names]:
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
        _name_uuids(names, made, values)
    return names


def _name_times(names: tuple[_Names, _Names], made: tuple[list[Mark], list[Mark]], runs: tuple[Run, Run]) -> None:
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


def _name_days(names: tuple[_Names, _Names], made: tuple[list[Mark], list[Mark]], runs: tuple[Run, Run]) -> None:
    ours, theirs = ({mark.ordinal - run.day for mark in side if isinstance(mark, IsoDate)} for side, run in zip(made, runs, strict=True))
    for number, distance in enumerate(sorted(ours & theirs), 1):
        for side, run in enumerate(runs):
            names[side][IsoDate(run.day + distance)] = f"<date:{number}>"


def _name_uuids(names: tuple[_Names, _Names], made: tuple[list[Mark], list[Mark]], values: tuple[JsonValue, JsonValue]) -> None:
    uuids = [[mark for mark in side if isinstance(mark, Uuid)] for side in made]
    if not (uuids[0] and uuids[1]):
        return
    anonymous = (names[0] | dict.fromkeys(uuids[0], ANONYMOUS), names[1] | dict.fromkeys(uuids[1], ANONYMOUS))
    for number, (ours, theirs) in enumerate(correspondence(*values, anonymous, Budget(4 * Budget().left)), 1):
        names[0][ours] = names[1][theirs] = f"<uuid:{number}>"
