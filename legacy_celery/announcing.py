"""What a Celery app serves, in the gateway's words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Protocol

from celery import Celery

from dualrun.contracts import Announcement, Parameter, ServedTask, Side

__all__ = ["announcement_of", "parameters_of"]

_ANY_NUMBER = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


class _Task(Protocol):
    run: Callable[..., object]
    serializer: str | None
    rate_limit: str | int | float | None
    soft_time_limit: float | None
    time_limit: float | None
    ignore_result: bool


def announcement_of(app: Celery, worker: str, service: str) -> Announcement:
    """Every task of the app but Celery's own, each with the address its own router gives it."""
    served = (_served(app, name, task) for name, task in sorted(app.tasks.items()) if not name.startswith("celery."))
    return Announcement(worker=worker, side=Side.LEGACY, service=service, tasks=tuple(served))


def parameters_of(run: Callable[..., object]) -> tuple[Parameter, ...] | None:
    """The parameters of a task's body (a bound task's `self` is not among them); None where it takes any number."""
    try:
        parameters = inspect.signature(run).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind in _ANY_NUMBER for parameter in parameters):
        return None
    return tuple(
        Parameter(
            name=parameter.name,
            required=parameter.default is inspect.Parameter.empty,
            keyword_only=parameter.kind is inspect.Parameter.KEYWORD_ONLY,
        )
        for parameter in parameters
    )


def _served(app: Celery, name: str, task: _Task) -> ServedTask:
    exchange, routing_key = _address(app, name)
    return ServedTask(
        task=name,
        parameters=parameters_of(task.run),
        exchange=exchange,
        routing_key=routing_key,
        serializer=str(task.serializer or app.conf.task_serializer),
        rate_limit=str(task.rate_limit or ""),
        soft_time_limit_s=task.soft_time_limit,
        time_limit_s=task.time_limit,
        ignores_result=bool(task.ignore_result),
    )


def _address(app: Celery, name: str) -> tuple[str, str]:
    """Where the app itself would publish the task.

    As Celery's own sender: a queue on a direct exchange is addressed by its name on the default exchange
    (`celery.app.amqp._create_task_sender`).
    """
    task = app.tasks[name]
    options = {key: value for key in ("queue", "exchange", "routing_key") if (value := getattr(task, key, None)) is not None}
    route = app.amqp.router.route(options, name, task_type=task)
    queue = route.get("queue")
    if queue is None:
        return str(route.get("exchange") or ""), str(route.get("routing_key") or app.conf.task_default_routing_key)
    if queue.exchange is None or queue.exchange.type == "direct":
        return "", str(queue.name)
    return str(queue.exchange.name), str(route.get("routing_key") or queue.routing_key)
