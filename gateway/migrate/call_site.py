"""Finds where tasks are dispatched."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gateway.migrate.constant import Unsettled, evaluate
from gateway.migrate.finding import CallSite
from gateway.migrate.name import dotted
from gateway.migrate.project import Module, Place, Project, walk

__all__ = ["call_sites_of", "task_of"]

_DISPATCH = frozenset({"delay", "apply_async"})
_OF_TASKS_ONLY = frozenset({"s", "si", "signature", "subtask", "apply", "chunks", "map", "starmap"})
_CANVAS = frozenset({"chain", "group", "chord", "chunks"})
_SIGNATURES = frozenset({"signature", "subtask", "Signature"})
_MADE_SIGNATURE = frozenset({"s", "si", "signature", "subtask"})
_KEPT_SIGNATURE = frozenset({"set", "clone", "on_error", "replace"})
_CELERY_MODULES = frozenset({"celery", "celery.canvas", "celery.task", "celery.task.sets", "celery.app.canvas"})


def call_sites_of(module: Module, project: Project, names: dict[str, str]) -> Iterator[CallSite]:
    """The module's call sites; `names` are the known tasks by full name of what stands for them in source."""
    for node, parent, place in walk(project.place_of(module)):
        found: tuple[str, str | None] | None = None
        match node:
            case ast.Call():
                found = _call(node, place, project, names)
            case ast.Attribute(attr=attribute) if attribute in _DISPATCH and isinstance(node.ctx, ast.Load):
                if not (isinstance(parent, ast.Call) and parent.func is node) and (task := task_of(node.value, place, project, names)):
                    found = (f"{attribute}_reference", task)
            case ast.BinOp(op=ast.BitOr()) if not (isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.BitOr)):
                found = ("|", None) if _joins_signatures(node, place, project, names) else None
        if found is not None and isinstance(node, ast.expr):
            yield CallSite(module.file, node.lineno, *found)


def _call(call: ast.Call, place: Place, project: Project, names: dict[str, str]) -> tuple[str, str | None] | None:
    full = project.full_name(call.func, place) or ""
    home, _, last = full.rpartition(".")
    if home in _CELERY_MODULES and last in _CANVAS:
        return last, None
    if home in _CELERY_MODULES and last in _SIGNATURES:
        return "signature", _name_given(call, place, project, names)
    if not isinstance(call.func, ast.Attribute):
        return None
    kind, owner = call.func.attr, call.func.value
    if kind == "send_task":
        return kind, _name_given(call, place, project, names)
    if kind == "on_commit":
        inner = _dispatched(call, place, project, names)
        return (kind, inner[0]) if inner else None
    task = task_of(owner, place, project, names)
    if kind in _DISPATCH and (task is not None or _may_dispatch(owner, place, project)):
        return kind, task
    if kind in _OF_TASKS_ONLY and task is not None:
        return kind, task
    if kind == "signature" and (dotted(owner) or [""])[-1] in ("app", "celery", "celery_app", "current_app"):
        return kind, _name_given(call, place, project, names)
    return None


def task_of(expression: ast.expr, place: Place, project: Project, names: dict[str, str]) -> str | None:
    """The name of the task an expression stands for: the task itself, an instance, or a signature of it."""
    while isinstance(expression, ast.Call):
        if isinstance(expression.func, ast.Attribute) and expression.func.attr in _MADE_SIGNATURE | _KEPT_SIGNATURE:
            expression = expression.func.value
        elif (project.full_name(expression.func, place) or "").rpartition(".")[2] in _SIGNATURES:
            return _name_given(expression, place, project, names)
        else:
            expression = expression.func
    full = project.full_name(expression, place)
    if full is not None and full in names:
        return names[full]
    return _own_task(expression, place, names)


def _own_task(expression: ast.expr, place: Place, names: dict[str, str]) -> str | None:
    """`self` inside a task, at any depth, is that task."""
    if not (isinstance(expression, ast.Name) and expression.id == "self"):
        return None
    parts = place.full_name.split(".")
    return next((names[full] for length in range(len(parts), 1, -1) if (full := ".".join(parts[:length])) in names), None)


def _name_given(call: ast.Call, place: Place, project: Project, names: dict[str, str]) -> str | None:
    given = call.args[0] if call.args else next((word.value for word in call.keywords if word.arg in ("name", "task")), None)
    if given is None:
        return None
    if isinstance(given, ast.Attribute) and given.attr == "name" and (task := task_of(given.value, place, project, names)):
        return task
    try:
        value = evaluate(project, given, place)
    except Unsettled:
        return task_of(given, place, project, names)
    return value if isinstance(value, str) else None


def _may_dispatch(owner: ast.expr, place: Place, project: Project) -> bool:
    """Whether `.delay` or `.apply_async` of something unknown is likely Celery's: process pools have an `apply_async` too."""
    parts = dotted(owner)
    if parts is None:
        return True
    return "pool" not in parts[-1].lower() and parts[-1] not in ("self", "cls", "time", "executor")


def _joins_signatures(node: ast.BinOp, place: Place, project: Project, names: dict[str, str]) -> bool:
    waiting: list[ast.expr] = [node.left, node.right]
    while waiting:
        side = waiting.pop()
        if isinstance(side, ast.BinOp) and isinstance(side.op, ast.BitOr):
            waiting += [side.left, side.right]
        elif isinstance(side, ast.Call) and _is_signature(side, place, project, names):
            return True
    return False


def _is_signature(call: ast.Call, place: Place, project: Project, names: dict[str, str]) -> bool:
    home, _, last = (project.full_name(call.func, place) or "").rpartition(".")
    if home in _CELERY_MODULES and last in _CANVAS | _SIGNATURES:
        return True
    return isinstance(call.func, ast.Attribute) and call.func.attr in _MADE_SIGNATURE and task_of(call, place, project, names) is not None


def _dispatched(call: ast.Call, place: Place, project: Project, names: dict[str, str]) -> list[str | None]:
    """The tasks dispatched by what `on_commit` is given: a lambda, a partial, a reference, or a function defined beside it."""
    roots: list[ast.AST] = [*call.args, *(word.value for word in call.keywords)]
    for root in list(roots):
        if isinstance(root, ast.Name):
            roots += [names_.definitions[root.id] for names_ in place.scopes if root.id in names_.definitions][:1]
    found = [
        node for root in roots for node in ast.walk(root) if isinstance(node, ast.Attribute) and node.attr in _DISPATCH | {"send_task"}
    ]
    return [task_of(node.value, place, project, names) for node in found]
