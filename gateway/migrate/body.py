"""What a task's function says about itself: parameters, retries, results."""

from __future__ import annotations

import ast

from gateway.migrate.constant import text_of_expression
from gateway.migrate.finding import FoundParameter
from gateway.migrate.name import FunctionNode, own_nodes

__all__ = ["parameters_of", "retries_itself", "returns_value"]


def parameters_of(node: FunctionNode, *, bound: bool) -> list[FoundParameter]:
    """The parameters a caller gives, in the order positional arguments bind."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = len(positional) - len(arguments.defaults)
    defaults: list[ast.expr | None] = [*([None] * missing), *arguments.defaults]
    found = [_parameter(argument, default) for argument, default in zip(positional, defaults, strict=True)][
        1 if bound and positional else 0 :
    ]
    if arguments.vararg is not None:
        found.append(_star("*", arguments.vararg))
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    found += [_parameter(argument, default, keyword_only=True) for argument, default in pairs]
    if arguments.kwarg is not None:
        found.append(_star("**", arguments.kwarg))
    return found


def _parameter(argument: ast.arg, default: ast.expr | None, *, keyword_only: bool = False) -> FoundParameter:
    annotation = text_of_expression(argument.annotation) if argument.annotation else None
    return FoundParameter(argument.arg, default is None, keyword_only, annotation, text_of_expression(default) if default else None)


def _star(stars: str, argument: ast.arg) -> FoundParameter:
    annotation = text_of_expression(argument.annotation) if argument.annotation else None
    return FoundParameter(f"{stars}{argument.arg}", False, False, annotation, None)


def retries_itself(node: FunctionNode, *, bound: bool) -> bool:
    """Whether the body calls its own `retry`: by `self`, by its own name, or by `current_task`."""
    selves = {node.name, "current_task"}
    positional = [*node.args.posonlyargs, *node.args.args]
    if positional and (bound or positional[0].arg == "self"):
        selves.add(positional[0].arg)
    return any(_is_retry(part, selves) for part in ast.walk(node))


def _is_retry(node: ast.AST, selves: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="retry")):
            return name in selves
    return False


def returns_value(node: FunctionNode) -> bool:
    """Whether the body gives anything but None. `return self.retry(...)` raises, and gives nothing."""
    return any(isinstance(part, ast.Return) and part.value is not None and not _is_nothing(part.value) for part in own_nodes(node))


def _is_nothing(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=None) | ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="retry")):
            return True
    return False
