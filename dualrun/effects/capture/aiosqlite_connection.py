"""aiosqlite: statements run in the connection's own thread; they belong to whoever awaits them, and so does what is undone there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial, wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dualrun.effects.capture.sqlite3_connection import CapturedConnection
from dualrun.effects.execution import current_execution

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put the capture into `Connection._execute`, through which every call goes to the thread."""
    library.Connection._execute = _captured(library.Connection._execute)  # noqa: SLF001 - the one door there is


def _captured(execute: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    @wraps(execute)
    async def captured(self: aiosqlite.Connection, fn: Callable[..., object], *args: Any, **kwargs: Any) -> object:  # noqa: ANN401
        run = current_execution()
        connection = self._connection
        if run is not None and run.shadow and isinstance(connection, CapturedConnection) and connection.dualrun_undo_by is None:
            connection.dualrun_undo_by = lambda undo: self._tx.put_nowait((None, undo))
        return await execute(self, partial(copy_context().run, fn, *args, **kwargs))

    return captured
