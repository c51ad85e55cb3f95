"""Threads for handlers written as plain functions: bounded, and with the context of their run."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

__all__ = ["HandlerThreads", "handler_threads"]

DEFAULT_COUNT = 16


class HandlerThreads:
    """The threads of one process. What finds none free waits for one."""

    def __init__(self, count: int = DEFAULT_COUNT) -> None:
        self._count = count
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._busy = 0

    @property
    def busy(self) -> int:
        """Functions at work, those included that nobody waits for any more: a thread cannot be cancelled."""
        return self._busy

    def resize(self, count: int) -> None:
        """How many threads there may be; before the first is needed."""
        self._count = count

    async def run(self, function: Callable[..., object], arguments: Mapping[str, object]) -> object:
        """What the function returns. Raises what it raises; when cancelled it goes on, and its result is lost."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="handler")
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, self._counted, function, arguments)

    def _counted(self, function: Callable[..., object], arguments: Mapping[str, object]) -> object:
        with self._lock:
            self._busy += 1
        try:
            return function(**arguments)
        finally:
            with self._lock:
                self._busy -= 1


handler_threads = HandlerThreads()
"""Those of this process."""
