"""Celery: the tasks a task starts. A child of a shadow must not run; a retry of the shadow itself must."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from types import ModuleType
from typing import Protocol, TypeAlias

from dualrun.contracts import EffectKind
from dualrun.effects.capture.celery_canvas import followers
from dualrun.effects.execution import current_execution, effect, outside

__all__ = ["patch"]

Arguments: TypeAlias = "Sequence[object] | None"
Keywords: TypeAlias = "Mapping[str, object] | None"


_CANVAS: Mapping[str, str] = {"chain": "chain", "chord": "chord", "group": "group_id", "link": "link", "link_error": "link_error"}
"""What a step of a canvas is sent with."""


_RESULT = object()
"""Stands for the result of a task that has not run."""


class _Task(Protocol):
    run: Callable[..., object]


class _App(Protocol):
    """What is used here of a Celery app."""

    tasks: Mapping[str, _Task]

    def AsyncResult(self, task_id: object) -> object: ...  # noqa: N802 - Celery's name


def patch(library: ModuleType) -> None:
    """Put the capture into `Celery.send_task`, through which `delay`, `apply_async` and every step of a canvas go."""
    library.Celery.send_task = _captured(library.Celery.send_task)


def _captured(
    send_task: Callable[..., object],
) -> Callable[..., object]:
    @wraps(send_task)
    def captured(self: _App, name: str, args: Arguments = None, kwargs: Keywords = None, *rest: object, **options: object) -> object:
        execution = current_execution()
        if execution is None:
            return send_task(self, name, args, kwargs, *rest, **options)
        if _is_retry(options.get("task_id")):
            with outside():
                return send_task(self, name, args, kwargs, *rest, **options)
        execution.canvas.update(part for part, option in _CANVAS.items() if options.get(option))
        performed = effect(EffectKind.MESSAGE, name, _by_name(self, name, args or (), kwargs or {}))
        for task in followers(options):
            key = f"{task.name} (on error)" if task.on_error else task.name
            effect(EffectKind.MESSAGE, key, _by_name(self, task.name, task.args, task.kwargs, takes_result=task.takes_result))
        if performed:
            # Publishing is Celery's doing, not the task's.
            with outside():
                return send_task(self, name, args, kwargs, *rest, **options)
        return self.AsyncResult(options.get("task_id") or str(uuid.uuid4()))

    return captured


def _is_retry(task_id: object) -> bool:
    from celery import current_task

    return task_id is not None and bool(current_task) and current_task.request.id == task_id


def _by_name(
    app: _App, name: str, args: Sequence[object], kwargs: Mapping[str, object], *, takes_result: bool = False
) -> Mapping[str, object]:
    """The arguments by parameter name, as an event's payload has them; positional ones stay in `args` where the names are not known.

    Of a task that is to take the result of another, that argument is left out.
    """
    task = app.tasks.get(name)
    if task is not None:
        given = (_RESULT, *args) if takes_result else args
        try:
            bound = inspect.signature(task.run).bind(*given, **kwargs).arguments
        except TypeError:
            pass
        else:
            return {parameter: value for parameter, value in bound.items() if value is not _RESULT}
    return {"args": list(args), **kwargs} if args else dict(kwargs)
