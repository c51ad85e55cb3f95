"""A `try` around `self.retry()`: Celery raises once it has sent the next attempt, the runtime sends one because of what is raised."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from gateway.migrate.constant import text_of_expression
from gateway.migrate.project import Place, Project

__all__ = ["caught_retry"]

# By their last part: what catches `Retry`, and what catches `MaxRetriesExceededError`.
_CATCHING = frozenset({"Exception", "BaseException", "CeleryError", "TaskPredicate"})
_CATCHING_THE_END = frozenset({"Exception", "BaseException", "CeleryError", "TaskError", "MaxRetriesExceededError"})


def caught_retry(statement: ast.stmt, parents: Mapping[int, ast.AST], inside: Place, project: Project) -> tuple[str, bool] | None:
    """What a `try` or `suppress` around the statement that retries makes different, and whether nothing would be tried again."""
    node: ast.AST = statement
    while (parent := parents.get(id(node))) is not None:
        if isinstance(parent, ast.Try | ast.TryStar) and node in parent.body:
            if (said := _by_handlers(parent.handlers, inside, project)) is not None:
                return said
        elif isinstance(parent, ast.With) and any(_suppresses(item.context_expr, inside, project) for item in parent.items):
            return "what retry raises is suppressed: Celery has sent the next attempt by then, here there would be none", True
        node = parent
    return None


def _by_handlers(handlers: list[ast.ExceptHandler], inside: Place, project: Project) -> tuple[str, bool] | None:
    catching = next((handler for handler in handlers if _catches(handler, inside, project)), None)
    if catching is not None and not _passes_on(catching):
        said = f"the `except` in line {catching.lineno} catches what retry raises: Celery has sent the next attempt and goes on there; "
        raises = any(isinstance(part, ast.Raise) or _is_retry(part) for inner in catching.body for part in ast.walk(inner))
        return said + ("here what it raises decides" if raises else "here there would be no next attempt"), not raises
    if any(_caught_names(handler) & _CATCHING_THE_END for handler in handlers):
        return "where no attempt was left, Celery raised here, into the `try` around it; here the event has then failed", False
    return None


def _catches(handler: ast.ExceptHandler, inside: Place, project: Project) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    full = [project.full_name(expression, inside) for expression in caught if expression is not None]
    return bool(_caught_names(handler) & _CATCHING) or "celery.exceptions.Retry" in full


def _caught_names(handler: ast.ExceptHandler) -> set[str]:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {text_of_expression(expression).rpartition(".")[2] if expression is not None else "BaseException" for expression in caught}


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether it ends in raising again what it caught, on every way through it."""
    last = handler.body[-1]
    again = isinstance(last, ast.Raise) and (last.exc is None or (isinstance(last.exc, ast.Name) and last.exc.id == handler.name))
    left = ast.Return | ast.Raise | ast.Break | ast.Continue
    return again and not any(isinstance(part, left) for statement in handler.body[:-1] for part in ast.walk(statement))


def _is_retry(part: ast.AST) -> bool:
    return isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr == "retry"


def _suppresses(context: ast.expr, inside: Place, project: Project) -> bool:
    if not isinstance(context, ast.Call) or project.full_name(context.func, inside) != "contextlib.suppress":
        return False
    return any(text_of_expression(error).rpartition(".")[2] in _CATCHING | {"Retry"} for error in context.args)
