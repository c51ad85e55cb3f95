"""Celery: the tasks a task starts. A child of a shadow must not run; a retry of the shadow itself must."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from types import ModuleType
from typing import Protocol, TypeAlias

from dualrun.contracts import EffectKind
from dualrun.effects.execution import current_execution, effect, outside

__all__ = ["patch"]

Arguments: TypeAlias = "Sequence[object] | None"
Keywords: TypeAlias = "Mapping[str, object] | None"


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
        if current_execution() is None:
            return send_task(self, name, args, kwargs, *rest, **options)
        if _is_retry(options.get("task_id")):
            with outside():
                return send_task(self, name, args, kwargs, *rest, **options)
        if effect(EffectKind.MESSAGE, name, _by_name(self, name, args or (), kwargs or {})):
            return send_task(self, name, args, kwargs, *rest, **options)
        return self.AsyncResult(options.get("task_id") or str(uuid.uuid4()))

    return captured


def _is_retry(task_id: object) -> bool:
    from celery import current_task

    return task_id is not None and bool(current_task) and current_task.request.id == task_id


def _by_name(app: _App, name: str, args: Sequence[object], kwargs: Mapping[str, object]) -> Mapping[str, object]:
    """The arguments by parameter name, as an event's payload has them; positional ones stay in `args` where the names are not known."""
    task = app.tasks.get(name)
    if task is not None:
        try:
            return dict(inspect.signature(task.run).bind(*args, **kwargs).arguments)
        except TypeError:
            pass
    return {"args": list(args), **kwargs} if args else dict(kwargs)
