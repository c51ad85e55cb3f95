"""Finds where tasks are dispatched."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from dualrun.contracts import JsonValue
from gateway.migrate.constant import Unsettled, evaluate, evaluate_or_text
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
_LINKING = frozenset({"apply_async", "send_task", "apply", "signature", "s", "si", "set"})
_WITH_OPTIONS = frozenset({"apply_async", "send_task"})
_NO_OPTIONS = frozenset({"args", "kwargs", "link", "link_error", "name"})
_RESULTS = frozenset({"celery.result.AsyncResult", "celery.AsyncResult"})
_APPS = frozenset({"app", "celery", "celery_app", "current_app"})
# What has an `apply_async` or a `delay` of its own.
_POOL = re.compile(r"(?:Pool|Executor)$")
_NO_TASKS = frozenset({"self", "cls", "time", "executor", "timer", "clock", "loop", "workers"})
_CELERY_MODULES = frozenset({"celery", "celery.canvas", "celery.task", "celery.task.sets", "celery.app.canvas"})


def call_sites_of(module: Module, project: Project, names: dict[str, str]) -> Iterator[CallSite]:
    """The module's call sites; `names` are the known tasks by full name of what stands for them in source."""
    pools = _pools(module.tree)
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
        if found is not None and found[1] is None and isinstance(node, ast.Call) and _receiver(node) in pools:
            found = None
        if found is not None and isinstance(node, ast.expr):
            yield CallSite(module.file, node.lineno, *found, _options(node, found[0], place, project))
        if isinstance(node, ast.Call):
            for keyword in _links(node, place, project, names):
                yield CallSite(module.file, keyword.value.lineno, keyword.arg or "", task_of(_first(keyword.value), place, project, names))


def _options(node: ast.expr, kind: str, place: Place, project: Project) -> dict[str, JsonValue]:
    """What a dispatch asks for beside the task's own arguments."""
    if kind not in _WITH_OPTIONS or not isinstance(node, ast.Call):
        return {}
    options: dict[str, JsonValue] = {}
    for keyword in node.keywords:
        given = evaluate_or_text(project, keyword.value, place)
        if keyword.arg is None:
            options |= given if isinstance(given, dict) else {"**": given}
        else:
            options[keyword.arg] = given
    return {name: value for name, value in options.items() if name not in _NO_OPTIONS}


def _links(call: ast.Call, place: Place, project: Project, names: dict[str, str]) -> list[ast.keyword]:
    """`link=` and `link_error=` of a dispatch."""
    dispatches = isinstance(call.func, ast.Attribute) and call.func.attr in (
        "apply_async",
        "send_task",
        "signature",
        "s",
        "si",
        "set",
        "apply",
    )
    return [keyword for keyword in call.keywords if keyword.arg in ("link", "link_error")] if dispatches else []


def _first(expression: ast.expr) -> ast.expr:
    return expression.elts[0] if isinstance(expression, ast.List | ast.Tuple) and expression.elts else expression


def _call(call: ast.Call, place: Place, project: Project, names: dict[str, str]) -> tuple[str, str | None] | None:
    full = project.full_name(call.func, place) or ""
    home, _, last = full.rpartition(".")
    if home in _CELERY_MODULES and last in _CANVAS:
        return last, None
    if home in _CELERY_MODULES and last in _SIGNATURES:
        return "signature", _name_given(call, place, project, names)
    if full in _RESULTS:
        return "AsyncResult", None
    if not isinstance(call.func, ast.Attribute):
        return None
    kind, owner = call.func.attr, call.func.value
    if kind in _DISPATCH or kind in _OF_TASKS_ONLY:
        return _of_task(kind, owner, call, place, project, names)
    return _other_method(kind, owner, call, place, project, names)


def _of_task(
    kind: str, owner: ast.expr, call: ast.Call, place: Place, project: Project, names: dict[str, str]
) -> tuple[str, str | None] | None:
    task = task_of(owner, place, project, names)
    if task is not None or (kind in _DISPATCH and _may_dispatch(owner, place, project)):
        return kind, task
    if kind == "signature" and _is_called_app(owner):
        return kind, _name_given(call, place, project, names)
    return None


def _is_called_app(owner: ast.expr) -> bool:
    return (dotted(owner) or [""])[-1] in _APPS


def _other_method(
    kind: str, owner: ast.expr, call: ast.Call, place: Place, project: Project, names: dict[str, str]
) -> tuple[str, str | None] | None:
    match kind:
        case "send_task":
            return kind, _name_given(call, place, project, names)
        case "on_commit":
            inner = _dispatched(call, place, project, names)
            return (kind, inner[0]) if inner else None
        case "AsyncResult":
            return kind, task_of(owner, place, project, names)
        case "get":
            waits = _waits(owner, place, project, names)
            return None if waits is None else (kind, waits[0])
        case "link" | "link_error" if call.args and task_of(owner, place, project, names) is not None:
            return kind, task_of(call.args[0], place, project, names)
    return None


def _waits(owner: ast.expr, place: Place, project: Project, names: dict[str, str]) -> tuple[str | None] | None:
    """For `.get()` of a dispatch's result inside a task: what it waits for, where the source says."""
    parts = place.full_name.split(".")
    if not any(".".join(parts[:length]) in names for length in range(2, len(parts) + 1)):
        return None
    if isinstance(owner, ast.Name):
        given = next((scope.values[owner.id] for scope in place.scopes if owner.id in scope.values), [])
        owner = given[-1] if given else owner
    while isinstance(owner, ast.Call) and isinstance(owner.func, ast.Attribute) and owner.func.attr == "set":
        owner = owner.func.value
    if not isinstance(owner, ast.Call) or (isinstance(owner.func, ast.Attribute) and owner.func.attr == "get"):
        return None
    made = _call(owner, place, project, names)
    if made is not None and made[0] in _DISPATCH | {"send_task", "AsyncResult"}:
        return (made[1],)
    if isinstance(owner.func, ast.Call) and (canvas := _call(owner.func, place, project, names)) is not None and canvas[0] in _CANVAS:
        return (None,)
    return None


def task_of(expression: ast.expr, place: Place, project: Project, names: dict[str, str]) -> str | None:
    """The name of the task an expression stands for: the task itself, an instance, or a signature of it."""
    while isinstance(expression, ast.Call):
        if isinstance(expression.func, ast.Attribute) and expression.func.attr == "task" and len(expression.args) == 1:
            # A project's look-up of the registered task by its function: `request.task(function).delay()`.
            expression = expression.args[0]
        elif isinstance(expression.func, ast.Attribute) and expression.func.attr == "signature" and _is_called_app(expression.func.value):
            return _name_given(expression, place, project, names)
        elif isinstance(expression.func, ast.Attribute) and expression.func.attr in _MADE_SIGNATURE | _KEPT_SIGNATURE:
            expression = expression.func.value
        elif (project.full_name(expression.func, place) or "").rpartition(".")[2] in _SIGNATURES:
            return _name_given(expression, place, project, names)
        else:
            expression = expression.func
    full = project.full_name(expression, place)
    if full is not None and full in names:
        return names[full]
    return _own_task(expression, place, names) or _kept_signature(expression, place, project, names)


def _kept_signature(expression: ast.expr, place: Place, project: Project, names: dict[str, str]) -> str | None:
    """The task of a variable that holds signatures of one task only."""
    if not isinstance(expression, ast.Name):
        return None
    scope = next((scope for scope in place.scopes if expression.id in scope.unknown or expression.id in scope.values), None)
    if scope is None or expression.id in scope.unknown:
        return None
    signatures = [value for value in scope.values[expression.id] if _starts_as_signature(value)]
    if len(signatures) < len(scope.values[expression.id]):
        return None
    tasks = {task_of(value, place, project, names) for value in signatures}
    return tasks.pop() if len(tasks) == 1 else None


def _starts_as_signature(value: ast.expr) -> bool:
    """Whether it reads like `task.s(...)`, with options set or not: nothing that starts from a variable of the same name."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr in _MADE_SIGNATURE:
            return True
        value = value.func.value
    return False


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
    return "pool" not in parts[-1].lower() and parts[-1] not in _NO_TASKS


def _pools(tree: ast.Module) -> frozenset[str]:
    """The names and attributes that hold a pool of processes or threads anywhere in the module."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=ast.Call(func=function)) if _POOL.search((dotted(function) or [""])[-1]):
                found |= {name for target in targets if (name := ".".join(dotted(target) or ()))}
            case ast.withitem(context_expr=ast.Call(func=function), optional_vars=ast.Name(id=name)) if _POOL.search(
                (dotted(function) or [""])[-1]
            ):
                found.add(name)
    return frozenset(found)


def _receiver(call: ast.Call) -> str:
    return ".".join(dotted(call.func.value) or ()) if isinstance(call.func, ast.Attribute) else ""


def _joins_signatures(node: ast.BinOp, place: Place, project: Project, names: dict[str, str]) -> bool:
    waiting: list[ast.expr] = [node.left, node.right]
    while waiting:
        side = waiting.pop()
        if isinstance(side, ast.BinOp) and isinstance(side.op, ast.BitOr):
            waiting += [side.left, side.right]
        elif _is_signature(side, place, project, names) or _kept_signature(side, place, project, names) is not None:
            return True
    return False


def _is_signature(call: ast.expr, place: Place, project: Project, names: dict[str, str]) -> bool:
    if not isinstance(call, ast.Call):
        return False
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
