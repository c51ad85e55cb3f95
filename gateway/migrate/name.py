"""Names a block of source binds: what `app` means where it is written."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["Definition", "FunctionNode", "Names", "dotted", "names_of", "own_nodes", "parameter_nodes", "statements"]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(slots=True)
class Names:
    """What one module, class or function binds."""

    prefix: str
    targets: dict[str, str] = field(default_factory=dict)
    """Imports and definitions, by the full name they stand for."""
    values: dict[str, list[ast.expr]] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    """Parameters, loop variables and whatever else is only known at run time."""
    stars: list[str] = field(default_factory=list)
    is_class: bool = False


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a block and of the conditions, loops and handlers in it; functions and classes are not entered."""
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, Definition):
            inner = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case))
            stack.extend(reversed(list(inner)))


def own_nodes(function: FunctionNode) -> Iterator[ast.AST]:
    """The nodes of a function's body; functions and classes inside are not entered."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, Definition | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def dotted(expression: ast.expr) -> list[str] | None:
    """`["a", "b", "c"]` for `a.b.c`; None for anything else."""
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return None
    return [expression.id, *reversed(parts)]


def parameter_nodes(arguments: ast.arguments) -> list[ast.arg]:
    """Every parameter, stars included, in their order."""
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def names_of(body: Sequence[ast.stmt], prefix: str, package: str, parameters: Iterable[ast.arg] = (), *, is_class: bool = False) -> Names:
    """What a block binds. `package` is the one relative imports start from."""
    names = Names(prefix, unknown={parameter.arg for parameter in parameters}, is_class=is_class)
    for statement in statements(body):
        match statement:
            case ast.Import():
                for alias in statement.names:
                    root = alias.name.partition(".")[0]
                    names.targets[alias.asname or root] = alias.name if alias.asname else root
            case ast.ImportFrom():
                _bind_from(names, statement, package)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.targets[statement.name] = f"{prefix}.{statement.name}"
                names.definitions[statement.name] = statement
            case _:
                _bind_assigned(names, statement)
    return names


def _bind_from(names: Names, statement: ast.ImportFrom, package: str) -> None:
    source = statement.module or ""
    if statement.level:
        parts = package.split(".") if package else []
        kept = parts[: len(parts) - statement.level + 1]
        source = ".".join([*kept, *([source] if source else [])])
    for alias in statement.names:
        if alias.name == "*":
            names.stars.append(source)
        else:
            names.targets[alias.asname or alias.name] = f"{source}.{alias.name}" if source else alias.name


def _bind_assigned(names: Names, statement: ast.stmt) -> None:
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                _bind_target(names, target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            _bind_target(names, target, value)
        case ast.For(target=target) | ast.AsyncFor(target=target):
            names.unknown |= _stored(target)
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for item in items:
                if item.optional_vars is not None:
                    names.unknown |= _stored(item.optional_vars)
        case ast.AugAssign(target=ast.Name(id=name)):
            names.unknown.add(name)


def _bind_target(names: Names, target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Name):
        names.values.setdefault(target.id, []).append(value)
    else:
        names.unknown |= _stored(target)


def _stored(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
