"""Celery's result backends: keeping a result is the worker's doing, not the task's, and happens while its execution is still open."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.execution import outside

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put it around the ways by which every backend is told how a task ended."""
    for name in ("mark_as_started", "mark_as_done", "mark_as_failure", "mark_as_retry", "mark_as_revoked", "process_cleanup"):
        setattr(library.Backend, name, _outside(getattr(library.Backend, name)))


def _outside(method: Callable[..., object]) -> Callable[..., object]:
    @wraps(method)
    def own(self: object, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as in Celery
        with outside():
            return method(self, *args, **kwargs)

    return own
