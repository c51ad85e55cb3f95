"""concurrent.futures: what a task gives to a pool of threads belongs to the task; the pool's threads belong to no one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.execution import belonging

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put it into `ThreadPoolExecutor`: `map`, `asyncio.to_thread` and `run_in_executor` go through `submit` too."""
    pool = library.ThreadPoolExecutor
    init, submit = pool.__init__, pool.submit

    @wraps(init)
    def initialising(  # as in concurrent.futures
        self: object,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        init(self, max_workers, thread_name_prefix, initializer and belonging(initializer), *args, **kwargs)

    @wraps(submit)
    def submitting(self: object, fn: Callable[..., object], /, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as in concurrent.futures
        return submit(self, belonging(fn), *args, **kwargs)

    pool.__init__, pool.submit = initialising, submitting
