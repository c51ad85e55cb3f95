"""Values that the source alone settles: literals, named constants across modules, and plain arithmetic on them."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence

from dualrun.contracts import JsonValue
from gateway.migrate.project import Place, Project

__all__ = ["Unsettled", "evaluate", "evaluate_or_text", "text_of_expression"]

_MAX_DEPTH = 60
_MAX_ITEMS = 10_000
_MAX_TEXT = 2_000
# Names that double one another sixty deep would otherwise fill the memory.
_MAX_STEPS = 20_000
_MAX_INTEGER = 2**63
_PLAIN_FORMAT = re.compile(r"(?:[^%]|%[sd%])*")
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class Unsettled(Exception):
    """Only running would tell."""


def text_of_expression(expression: ast.expr) -> str:
    """Source text, normalised, cut where it is longer than anyone reads."""
    text = ast.unparse(expression)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def evaluate_or_text(project: Project, expression: ast.expr, place: Place) -> JsonValue:
    """The value, or the source text."""
    try:
        return evaluate(project, expression, place)
    except Unsettled:
        return text_of_expression(expression)


def evaluate(project: Project, expression: ast.expr, place: Place) -> JsonValue:
    """The value. Raises `Unsettled`."""
    return _Evaluation(project, {}).value(expression, place, 0)


class _Evaluation:
    """One expression's evaluation, with the loop variables of comprehensions around it."""

    def __init__(self, project: Project, loop: Mapping[str, JsonValue]) -> None:
        self._project = project
        self._loop = loop
        self._steps = 0

    def value(self, node: ast.expr, place: Place, depth: int) -> JsonValue:
        self._steps += 1
        if depth > _MAX_DEPTH or self._steps > _MAX_STEPS:
            raise Unsettled
        match node:
            case ast.Constant(value=None | bool() | int() | float() | str() as constant):
                return _bounded(constant)
            case ast.Name(id=name) if name in self._loop:
                return self._loop[name]
            case ast.Name() | ast.Attribute():
                return self._named(node, place, depth)
            case ast.Dict() | ast.DictComp():
                return self._mapping(node, place, depth)
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                return self._items(items, place, depth)
            case _:
                return self._computed(node, place, depth)

    def _computed(self, node: ast.expr, place: Place, depth: int) -> JsonValue:
        match node:
            case ast.JoinedStr(values=parts):
                return "".join(self._piece(part, place, depth) for part in parts)
            case ast.BinOp(left=left, op=operation, right=right):
                return _combined(self.value(left, place, depth + 1), operation, self.value(right, place, depth + 1))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self.value(operand, place, depth + 1)
                if isinstance(number, int | float):
                    return -number
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
                pairs = [(ast.Constant(word.arg) if word.arg else None, word.value) for word in keywords]
                return self._dictionary(pairs, place, depth)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(joint)), attr="join"), args=[ast.Tuple() | ast.List() as inner]):
                pieces = self._items(inner.elts, place, depth)
                if isinstance(pieces, list) and all(isinstance(piece, str) for piece in pieces):
                    return joint.join(str(piece) for piece in pieces)
            case ast.Call(func=ast.Name(id="format" | "str"), args=[inner], keywords=[]):
                return self._piece(inner, place, depth)
            case ast.Call(func=ast.Name(id="tuple" | "list"), args=[inner], keywords=[]):
                return self.value(inner, place, depth + 1)
        raise Unsettled

    def _items(self, items: list[ast.expr], place: Place, depth: int) -> JsonValue:
        found: list[JsonValue] = []
        for item in items[:_MAX_ITEMS]:
            if isinstance(item, ast.Starred):
                inner = self.value(item.value, place, depth + 1)
                found.extend(inner if isinstance(inner, list) else [])
                if not isinstance(inner, list):
                    raise Unsettled
            else:
                found.append(self.value(item, place, depth + 1))
        return found

    def _piece(self, part: ast.expr, place: Place, depth: int) -> str:
        if isinstance(part, ast.FormattedValue):
            if part.format_spec is not None or part.conversion not in (-1, 115):
                raise Unsettled
            part = part.value
        value = self.value(part, place, depth + 1)
        if not isinstance(value, str | int):
            raise Unsettled
        return str(value)

    def _mapping(self, node: ast.Dict | ast.DictComp, place: Place, depth: int) -> JsonValue:
        if isinstance(node, ast.Dict):
            return self._dictionary(list(zip(node.keys, node.values, strict=True)), place, depth)
        loop = node.generators[0]
        if len(node.generators) != 1 or loop.ifs or not isinstance(loop.target, ast.Name):
            raise Unsettled
        values = self.value(loop.iter, place, depth + 1)
        if not isinstance(values, list):
            raise Unsettled
        found: dict[str, JsonValue] = {}
        for value in values:
            inner = _Evaluation(self._project, {**self._loop, loop.target.id: value})
            found[str(inner.value(node.key, place, depth + 1))] = inner.value(node.value, place, depth + 1)
        return found

    def _dictionary(self, pairs: Sequence[tuple[ast.expr | None, ast.expr]], place: Place, depth: int) -> JsonValue:
        found: dict[str, JsonValue] = {}
        for key, item in pairs:
            value = self.value(item, place, depth + 1)
            if key is not None:
                found[str(self.value(key, place, depth + 1))] = value
            elif isinstance(value, dict):
                found |= value
            else:
                raise Unsettled
        return found

    def _named(self, node: ast.Name | ast.Attribute, place: Place, depth: int) -> JsonValue:
        if isinstance(node, ast.Name) and node.id == "__name__":
            return place.module.name
        member = node.value if isinstance(node, ast.Attribute) and node.attr == "value" else node
        for candidate in (node, member):
            for names in place.scopes:
                if isinstance(candidate, ast.Name) and candidate.id in names.values:
                    return self._only(names.values[candidate.id], place, depth)
            full = self._project.full_name(candidate, place)
            values, where = self._project.values(full) if full else ([], place)
            if values:
                return self._only(values, where, depth)
        raise Unsettled

    def _only(self, values: list[ast.expr], place: Place, depth: int) -> JsonValue:
        """The one value a name has; a name given several is only known at run time."""
        if len(values) != 1:
            raise Unsettled
        return self.value(values[0], place, depth + 1)


def _combined(left: JsonValue, operation: ast.operator, right: JsonValue) -> JsonValue:
    match left, operation, right:
        case str(), ast.Add(), str():
            return left + right
        case str(), ast.Mod(), _ if _PLAIN_FORMAT.fullmatch(left):
            try:
                return left % (tuple(right) if isinstance(right, list) else right)
            except (TypeError, ValueError) as exc:
                raise Unsettled from exc
        case list(), ast.Add(), list():
            return [*left, *right]
        case dict(), ast.BitOr(), dict():
            return left | right
        case ((int() | float()), _, (int() | float())):
            return _number(left, operation, right)
    raise Unsettled


def _number(left: float, operation: ast.operator, right: float) -> JsonValue:
    apply = _ARITHMETIC.get(type(operation))
    if apply is None:
        raise Unsettled
    try:
        return _bounded(apply(left, right))
    except (ArithmeticError, ValueError) as exc:
        raise Unsettled from exc


def _bounded(constant: None | bool | float | str) -> JsonValue:
    """As JSON can carry it: no infinity, no integer that no reader takes."""
    if isinstance(constant, float) and not math.isfinite(constant):
        raise Unsettled
    if isinstance(constant, int) and abs(constant) >= _MAX_INTEGER:
        raise Unsettled
    return constant
