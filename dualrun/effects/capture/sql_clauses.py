"""The clauses statements are made of: what is set, what names the row, what happens where it is there already, which answer is a key."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from dualrun.effects.capture.sql_tokens import Token, Tokens, group, split, split_once, until, unwrapped

__all__ = ["Changes", "assignments", "conditions", "conflict", "key_at", "with_parts"]

Changes = tuple[tuple[str, Tokens], ...]
"""Columns with what they are set to."""
_WHERE_END = frozenset({"RETURNING", "ORDER", "LIMIT"})
_VALUE_KINDS = frozenset({"parameter", "number", "text"})
_KEYS = frozenset({"id", "pk", "uid", "rowid", "number"})
_KEY_ENDS = ("_id", "_pk", "_key", "_no", "_nr", "_number")
_CONFLICT_END = frozenset({"RETURNING"})
_SET_END = frozenset({"WHERE"})


def assignments(clause: Sequence[Token]) -> Changes:
    """What a SET sets: columns, parts of them (`tags[1]`, `data['k']`), and several at once (`(a, b) = (1, 2)`)."""
    return tuple(chain.from_iterable(_assignment(part) for part in split(clause, ",")))


def _assignment(part: Tokens) -> Changes:
    target, value = split_once(part, "=")
    if not target or not value:
        return ((_spelt(part), ()),) if part else ()
    if target[0].text != "(":
        return ((_spelt(target), tuple(unwrapped(value))),)
    names = [_spelt(name) for name in split(group(target)[0], ",")]
    row = value[1:] if value[0].word == "ROW" else value
    inner, after = group(row) if row[0].text == "(" else ((), row)
    values = split(inner, ",") if inner and inner[0].word not in {"SELECT", "WITH"} else []
    if len(values) == len(names) and not after:
        return tuple((name, tuple(unwrapped(one))) for name, one in zip(names, values, strict=True))
    return ((f"({', '.join(names)})", value),)


def _spelt(name: Sequence[Token]) -> str:
    return "".join(token.text if token.kind == "text" else token.name for token in name)


def conflict(body: Sequence[Token]) -> tuple[bool, Changes, Tokens]:
    """Of an INSERT, what is done with a row that is there already: whether anything is said, what is set, and on which condition."""
    at = next((i for i in range(len(body) - 1) if (body[i].word, body[i + 1].word) == ("ON", "CONFLICT")), None)
    if at is None:
        return False, (), ()
    clause, _ = until(body[at:], _CONFLICT_END)
    _, action = split_once(clause, "SET")
    changes, condition = until(action, _SET_END)
    return True, assignments(changes), tuple(condition[1:])


def with_parts(tokens: Sequence[Token]) -> tuple[list[Tokens], Tokens]:
    """Of `WITH a AS (...), b AS (...) ...`: what stands in the parentheses, and the statement after them."""
    bodies: list[Tokens] = []
    rest = tokens[1:]
    while True:
        _, rest = until(rest, frozenset({"AS"}))
        opening = next((i for i, token in enumerate(rest) if token.text == "("), None)
        if opening is None:
            return bodies, tuple(rest)
        body, rest = group(rest[opening:])
        bodies.append(tuple(body))
        if not rest or rest[0].text != ",":
            return bodies, tuple(rest)


def conditions(body: Sequence[Token]) -> tuple[tuple[tuple[str, Tokens], ...], Tokens]:
    """The equalities joined by AND, and all the others, joined by AND again in an order of their own."""
    _, body = split_once(body, "WHERE")
    clause = unwrapped(until(body, _WHERE_END)[0])
    if len(split(clause, "OR")) > 1:
        return (), tuple(clause)
    equal: list[tuple[str, Tokens]] = []
    others: list[Tokens] = []
    for part in split(clause, "AND"):
        condition = tuple(unwrapped(part))
        named = _equality(condition)
        if named is not None:
            equal.append(named)
        elif condition:
            others.append(condition)
    joined: list[Token] = []
    for condition in sorted(others, key=lambda tokens: [token.text.lower() for token in tokens]):
        joined += [*([Token("word", "AND")] if joined else []), *condition]
    return tuple(equal), tuple(joined)


def _equality(part: Tokens) -> tuple[str, Tokens] | None:
    """Column and value of `column = value` and of `column IN (value)`."""
    before, after = split_once(part, "=")
    if not after:
        before, after = split_once(part, "IN")
        after = tuple(unwrapped(after))
    if len(after) == 1 and after[0].kind in _VALUE_KINDS and is_column(before):
        return before[-1].name, after
    return None


def is_column(tokens: Tokens) -> bool:
    """True for a name, or names joined by dots."""
    return len(tokens) % 2 == 1 and all(token.text == "." if i % 2 else token.kind in {"word", "quoted"} for i, token in enumerate(tokens))


def key_at(body: Sequence[Token], given: Sequence[str]) -> int | None:
    """By its name, or as the first of all columns: what else a row is answered with (a total, a version) is no key."""
    _, clause = split_once(body, "RETURNING")
    for at, part in enumerate(split(clause, ",")):
        if part and part[-1].text == "*":
            return at if "id" not in given else None
        name = part[-1].name if is_column(part) else ""
        if (name in _KEYS or name.endswith(_KEY_ENDS)) and name not in given:
            return at
    return None
