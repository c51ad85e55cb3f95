"""concurrent.futures: what a task has called when a future is done belongs to the task, whichever thread calls it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType

from dualrun.effects.execution import belonging

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put it into `Future.add_done_callback`."""
    add = library.Future.add_done_callback

    @wraps(add)
    def adding(self: object, fn: Callable[[object], object]) -> None:
        add(self, belonging(fn))

    library.Future.add_done_callback = adding
