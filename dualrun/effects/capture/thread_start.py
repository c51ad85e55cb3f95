"""threading: what a task starts in a thread belongs to the task."""

from __future__ import annotations

import threading
from functools import wraps
from types import ModuleType

from dualrun.effects.execution import belonging, current_execution

__all__ = ["patch"]

# Their threads serve everyone, whoever happened to start them.
_SHARED = ("aiosqlite", "amqp", "celery", "concurrent", "dualrun", "kombu", "opentelemetry")


def patch(library: ModuleType) -> None:
    """Put it into `Thread.start`: a thread started inside an execution runs in a copy of the context it was started in."""
    start = library.Thread.start

    @wraps(start)
    def starting(self: threading.Thread) -> None:
        if current_execution() is not None and not _shared(self):
            # The instance's own `run`, which a subclass may have written anew, is what the new thread calls.
            self.run = belonging(self.run)  # type: ignore[method-assign]  # on this instance alone
        start(self)

    library.Thread.start = starting


def _shared(thread: threading.Thread) -> bool:
    target: object = getattr(thread, "_target", None)
    module = getattr(target, "__module__", None) if target is not None else type(thread).__module__
    return str(module).partition(".")[0] in _SHARED
