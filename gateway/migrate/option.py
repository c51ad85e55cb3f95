"""Options as they are written: an expression and its place, also out of dictionaries that are put together elsewhere."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from gateway.migrate.constant import Unsettled, evaluate
from gateway.migrate.project import Place, Project

__all__ = ["UNREAD", "Option", "Options", "joined", "read_mapping"]

UNREAD = "**"
"""The key of what a mapping holds that the source does not show: the option is the expression it comes from."""
_MAX_DEPTH = 12
_CHANGING = frozenset({"update", "setdefault", "pop", "popitem", "clear", "__setitem__"})


@dataclass(frozen=True, slots=True)
class Option:
    """An option's expression, and where it is written."""

    value: ast.expr
    place: Place


Options = dict[str, Option]
"""By keyword."""


def joined(first: Options, second: Options) -> Options:
    """Both, the second over the first. What neither shows is kept of both."""
    together = {**first, **second}
    if UNREAD in first and UNREAD in second and first[UNREAD] != second[UNREAD]:
        values: list[ast.expr] = [first[UNREAD].value, second[UNREAD].value]
        together[UNREAD] = Option(ast.Dict(keys=[None, None], values=values), second[UNREAD].place)
    return together


def read_mapping(expression: ast.expr, place: Place, project: Project, depth: int = 0) -> Options:
    """What a mapping holds: literals, `dict(...)`, `|` and `**` of such, constants by name, and what is constant at all."""
    if depth > _MAX_DEPTH:
        return {UNREAD: Option(expression, place)}
    match expression:
        case ast.Dict(keys=keys, values=values):
            return _pairs(keys, values, place, project, depth)
        case ast.Call(func=ast.Name(id="dict"), args=arguments, keywords=words) if len(arguments) < 2:
            found = read_mapping(arguments[0], place, project, depth + 1) if arguments else {}
            keys = [None if word.arg is None else ast.Constant(word.arg) for word in words]
            return joined(found, _pairs(keys, [word.value for word in words], place, project, depth))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return joined(read_mapping(left, place, project, depth + 1), read_mapping(right, place, project, depth + 1))
        case ast.Subscript(value=outer, slice=ast.Constant(value=str(key))):
            inner = read_mapping(outer, place, project, depth + 1)
            if key in inner and UNREAD not in inner:
                return read_mapping(inner[key].value, inner[key].place, project, depth + 1)
        case ast.Name() | ast.Attribute():
            if (named := _named(expression, place, project)) is not None:
                return read_mapping(named.value, named.place, project, depth + 1)
        case _:
            return _computed(expression, place, project)
    return {UNREAD: Option(expression, place)}


def _pairs(keys: list[ast.expr | None], values: list[ast.expr], place: Place, project: Project, depth: int) -> Options:
    found: Options = {}
    for key, value in zip(keys, values, strict=True):
        if key is None:
            found = joined(found, read_mapping(value, place, project, depth + 1))
            continue
        name = _text(key, place, project)
        found = joined(found, {name: Option(value, place)} if name is not None else {UNREAD: Option(ast.Dict([key], [value]), place)})
    return found


def _text(key: ast.expr, place: Place, project: Project) -> str | None:
    try:
        value = evaluate(project, key, place)
    except Unsettled:
        return None
    return value if isinstance(value, str) else None


def _named(expression: ast.expr, place: Place, project: Project) -> Option | None:
    """What a name stands for; None where it is bound twice, or changed after it was bound."""
    full = project.full_name(expression, place)
    values, where = project.values(full) if full else ([], place)
    if full is None or len(values) != 1:
        return None
    name = full.rpartition(".")[2]
    return None if any(_changes(part, name) for part in ast.walk(where.module.tree)) else Option(values[0], where)


def _changes(part: ast.AST, name: str) -> bool:
    match part:
        case ast.Subscript(value=owner, ctx=ast.Store() | ast.Del()) | ast.AugAssign(target=owner):
            pass
        case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _CHANGING:
            pass
        case _:
            return False
    return (isinstance(owner, ast.Name) and owner.id == name) or (isinstance(owner, ast.Attribute) and owner.attr == name)


def _computed(expression: ast.expr, place: Place, project: Project) -> Options:
    try:
        value = evaluate(project, expression, place)
    except Unsettled:
        value = None
    if not isinstance(value, dict):
        return {UNREAD: Option(expression, place)}
    return {key: Option(ast.parse(repr(item), mode="eval").body, place) for key, item in value.items()}
