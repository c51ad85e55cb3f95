"""Two JSON values beside each other, line by line, with what changed inside a line marked. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import msgspec

from dualrun.contracts import JsonValue
from gateway.comparison.paths import MEMBER, is_keyed_by_id
from gateway.report.words import visible

__all__ = ["Line", "Piece", "SideBySide", "side_by_side"]

_MOST_LINES = 400
"""Of each side: aligning is quadratic at worst."""
_LONGEST_LINE = 2_000

Piece = tuple[str, bool]
"""A part of a line, and whether it is what changed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of both sides; no pieces for the side that has nothing there."""

    authority: tuple[Piece, ...]
    shadow: tuple[Piece, ...]
    changed: bool
    judged: bool
    """Whether the comparison counts it as a difference, and not as an id or a time that both sides made up."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Both values."""

    lines: tuple[Line, ...]
    left_out: int
    """Lines beyond the bound."""

    @property
    def changed(self) -> bool:
        return any(line.changed for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Written:
    text: str
    path: str


def side_by_side(authority: JsonValue, shadow: JsonValue, *, at: str, is_judged: Callable[[str], bool]) -> SideBySide:
    """The two values, whose canonical path is `at`; `is_judged` says of a path below it whether the comparison found a difference there."""
    one, other = list(_written(authority, at)), list(_written(shadow, at))
    left_out = max(0, len(one) - _MOST_LINES) + max(0, len(other) - _MOST_LINES)
    lines = tuple(_aligned(one[:_MOST_LINES], other[:_MOST_LINES], is_judged))
    return SideBySide(lines, left_out)


def _aligned(one: Sequence[_Written], other: Sequence[_Written], is_judged: Callable[[str], bool]) -> Iterator[Line]:
    by_text = SequenceMatcher(None, [line.text for line in one], [line.text for line in other], autojunk=False)
    for what, a_from, a_to, s_from, s_to in by_text.get_opcodes():
        if what == "equal":
            yield from (Line(((line.text, False),), ((line.text, False),), False, False) for line in one[a_from:a_to])
        else:
            yield from _changed(one[a_from:a_to], other[s_from:s_to], is_judged)


def _changed(one: Sequence[_Written], other: Sequence[_Written], is_judged: Callable[[str], bool]) -> Iterator[Line]:
    """Lines of which none is the same: those of one place stand beside each other."""
    by_path = SequenceMatcher(None, [line.path for line in one], [line.path for line in other], autojunk=False)
    for what, a_from, a_to, s_from, s_to in by_path.get_opcodes():
        if what == "equal":
            for left, right in zip(one[a_from:a_to], other[s_from:s_to], strict=True):
                yield Line(*_marked(left.text, right.text), True, is_judged(left.path))
        else:
            yield from (Line(((line.text, True),), (), True, is_judged(line.path)) for line in one[a_from:a_to])
            yield from (Line((), ((line.text, True),), True, is_judged(line.path)) for line in other[s_from:s_to])


def _marked(left: str, right: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The words both begin and end with are not what changed."""
    shortest = min(len(left), len(right))
    begin = next((n for n in range(shortest) if left[n] != right[n]), shortest)
    end = next((n for n in range(shortest - begin) if left[-1 - n] != right[-1 - n]), shortest - begin)
    # Half a word marked is hard to read: 19.9 against 19.89 differ as a whole.
    while begin > 0 and _in_word(left[begin - 1]):
        begin -= 1
    while end > 0 and _in_word(left[-end]):
        end -= 1
    return _pieces(left, begin, end), _pieces(right, begin, end)


def _in_word(character: str) -> bool:
    return character.isalnum() or character in "_.-+"


def _pieces(text: str, begin: int, end: int) -> tuple[Piece, ...]:
    middle = len(text) - end
    parts = ((text[:begin], False), (text[begin:middle], True), (text[middle:], False))
    return tuple(part for part in parts if part[0])


def _written(value: JsonValue, path: str, indent: int = 0, label: str = "", tail: str = "") -> Iterator[_Written]:
    margin = "  " * indent + label
    if isinstance(value, Mapping) and value:
        any_key = is_keyed_by_id(value)
        yield _Written(f"{margin}{{", path)
        for position, key in enumerate(sorted(value), 1):
            below = f"{path}/{'*' if any_key else key}"
            yield from _written(value[key], below, indent + 1, f"{_json(key)}: ", "," if position < len(value) else "")
        yield _Written(f"{'  ' * indent}}}{tail}", path)
    elif isinstance(value, list | tuple) and value:
        yield _Written(f"{margin}[", path)
        for position, member in enumerate(value, 1):
            yield from _written(member, f"{path}/{MEMBER}", indent + 1, "", "," if position < len(value) else "")
        yield _Written(f"{'  ' * indent}]{tail}", path)
    else:
        yield _Written(f"{margin}{_json(value)}{tail}", path)


def _json(value: JsonValue) -> str:
    text = visible(msgspec.json.encode(value).decode())
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"
