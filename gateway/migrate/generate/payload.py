"""A task's parameters as a handler's: same names, same order, same defaults, and annotations that change no value on its way in."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from gateway.migrate.constant import text_of_expression
from gateway.migrate.generate.decision import Decision
from gateway.migrate.generate.own_name import OwnNames
from gateway.migrate.name import FunctionNode, dotted
from gateway.migrate.project import Place, Project

__all__ = ["Payload", "payload_of"]

_SAME = {"int": "int", "str": "str", "bool": "bool", "float": "int | float", "bytes": "bytes", "object": "object", "None": "None"}
_QUALIFIED = frozenset({"datetime.datetime", "datetime.date", "datetime.time", "decimal.Decimal", "uuid.UUID"})
# What is written as a string in JSON: of two such, reading could not tell which is meant.
_STRINGS = ("str", "bytes", *(name.partition(".")[2] for name in _QUALIFIED if name != "datetime.time"))
_LISTS = frozenset({"list", "typing.List", "typing.Sequence", "collections.abc.Sequence", "typing.Iterable", "collections.abc.Iterable"})
_DICTS = frozenset({"dict", "typing.Dict", "typing.Mapping", "collections.abc.Mapping"})


@dataclass(slots=True)
class Payload:
    """The handler's parameters, and how the carried function is called with them."""

    declared: list[str] = field(default_factory=list)
    keyword_only: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)
    """The carried function's own parameters."""
    passed: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


def payload_of(node: FunctionNode, place: Place, project: Project, own: OwnNames, *, bound: bool) -> Payload:
    """The payload of a task's function; `bound` leaves out its first parameter."""
    made = Payload()
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [*([None] * (len(positional) - len(arguments.defaults))), *arguments.defaults]
    for argument, default in list(zip(positional, defaults, strict=True))[1 if bound else 0 :]:
        made.declared.append(_parameter(made, argument, default, place, project, own))
        made.carried.append(argument.arg)
        made.passed.append(argument.arg)
    if arguments.vararg is not None:
        _star(made, arguments.vararg, "*", f"list[{own.use('Any')}]")
    elif arguments.kwonlyargs:
        made.carried.append("*")
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        made.keyword_only.append(_parameter(made, argument, default, place, project, own))
        made.carried.append(argument.arg)
        made.passed.append(f"{argument.arg}={argument.arg}")
    if arguments.kwarg is not None:
        _star(made, arguments.kwarg, "**", f"dict[str, {own.use('Any')}]")
    return made


def _parameter(made: Payload, argument: ast.arg, default: ast.expr | None, place: Place, project: Project, own: OwnNames) -> str:
    made.names.append(argument.arg)
    annotation = own.use("Any")
    if argument.annotation is not None:
        found = _annotation(argument.annotation, place, project, own)
        if found is None:
            written = text_of_expression(argument.annotation)
            made.decisions.append(
                Decision(
                    argument.lineno,
                    f"{argument.arg} is annotated {written}, and Celery passed what JSON made of it, unchecked: so does this",
                )
            )
        else:
            annotation = found
    if (
        isinstance(default, ast.Constant)
        and default.value is None
        and "None" not in annotation
        and annotation not in (own.use("Any"), "object")
    ):
        annotation += " | None"
    return f"{argument.arg}: {annotation}" + ("" if default is None else f" = {ast.unparse(default)}")


def _star(made: Payload, argument: ast.arg, stars: str, annotation: str) -> None:
    made.names.append(argument.arg)
    made.keyword_only.append(f"{argument.arg}: {annotation} | None = None")
    made.carried.append(stars + argument.arg)
    made.passed.append(f"{stars}({argument.arg} or {'[]' if stars == '*' else '{}'})")
    made.decisions.append(
        Decision(argument.lineno, f"{stars}{argument.arg} has no names a payload could give: callers now give {argument.arg} by keyword")
    )


def _annotation(expression: ast.expr, place: Place, project: Project, own: OwnNames) -> str | None:
    """The annotation, if reading JSON by it gives the very value Celery passes; None otherwise."""
    match expression:
        case ast.Constant(value=None):
            return "None"
        case ast.Constant(value=str(text)):
            try:
                return _annotation(ast.parse(text, mode="eval").body, place, project, own)
            except (SyntaxError, ValueError):
                return None
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _union([left, right], place, project, own)
        case ast.Subscript(value=base, slice=inner):
            return _generic(_full(base, place, project), inner, place, project, own)
    full = _full(expression, place, project)
    if full in _LISTS:
        return f"list[{own.use('Any')}]"
    if full in _DICTS:
        return f"dict[str, {own.use('Any')}]"
    if full in _QUALIFIED:
        return f"{own.use(full.partition('.')[0])}.{full.partition('.')[2]}"
    return own.use("Any") if full == "typing.Any" else _SAME.get(full)


def _full(expression: ast.expr, place: Place, project: Project) -> str:
    return project.full_name(expression, place) or ".".join(dotted(expression) or [])


def _generic(full: str, inner: ast.expr, place: Place, project: Project, own: OwnNames) -> str | None:
    items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if full in ("typing.Optional", "typing.Union"):
        return _union([*items, *([ast.Constant(None)] if full == "typing.Optional" else [])], place, project, own)
    if full == "typing.Literal" and all(isinstance(item, ast.Constant) and isinstance(item.value, str | int) for item in items):
        return f"{own.use('Literal')}[{', '.join(ast.unparse(item) for item in items)}]"
    if full == "typing.Annotated":
        return _annotation(items[0], place, project, own)
    members = [_annotation(item, place, project, own) for item in items]
    if full in _LISTS and len(members) == 1:
        return None if members[0] is None else f"list[{members[0]}]"
    if full in _DICTS and len(members) == 2 and members[0] == "str" and members[1] is not None:
        return f"dict[str, {members[1]}]"
    return None


def _union(items: list[ast.expr], place: Place, project: Project, own: OwnNames) -> str | None:
    members = [_annotation(item, place, project, own) for item in items]
    if any(member is None for member in members):
        return None
    parts = dict.fromkeys(part for member in members if member is not None for part in _parts(member))
    # A union of two of these cannot be told apart in JSON.
    ambiguous = sum(part.split("[")[0].rpartition(".")[2] in _STRINGS for part in parts)
    arrays = sum(part.startswith(("list", "dict")) for part in parts)
    return None if ambiguous > 1 or arrays > 1 else " | ".join(parts)


def _parts(annotation: str) -> list[str]:
    return [annotation] if "[" in annotation else annotation.split(" | ")
