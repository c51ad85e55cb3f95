"""multiprocessing.pool: work given to a pool of threads belongs to the task; a pool of processes takes none from a shadow."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.execution import belonging
from dualrun.effects.guard import guarded, refuse_process

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put it before every way in: `apply` and `map` go through these."""
    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        setattr(library.Pool, name, _given(getattr(library.Pool, name), library))


def _given(give: Callable[..., object], library: ModuleType) -> Callable[..., object]:
    @wraps(give)
    def giving(self: object, func: Callable[..., object], *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as in multiprocessing
        if isinstance(self, library.ThreadPool):
            return give(self, belonging(func), *args, **kwargs)
        if guarded():
            refuse_process("multiprocessing.Pool")
        return give(self, func, *args, **kwargs)

    return giving
