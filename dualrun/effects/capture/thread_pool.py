"""concurrent.futures: what a task gives to a pool of threads belongs to the task; the pool's threads belong to no one."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial, wraps
from types import ModuleType
from typing import Any

from dualrun.effects.execution import current_execution

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put it into `ThreadPoolExecutor.submit`, through which `map`, `asyncio.to_thread` and `run_in_executor` go too."""
    submit = library.ThreadPoolExecutor.submit

    @wraps(submit)
    def submitting(self: object, fn: Callable[..., object], /, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as in concurrent.futures
        if current_execution() is not None:
            fn = partial(copy_context().run, fn)
        return submit(self, fn, *args, **kwargs)

    library.ThreadPoolExecutor.submit = submitting
