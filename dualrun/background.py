"""Ending a background task that talks to a server."""

from __future__ import annotations

import asyncio

__all__ = ["cancelled"]

_CANCEL_AGAIN_S = 0.1


async def cancelled(*tasks: asyncio.Task[None] | None, again_s: float = _CANCEL_AGAIN_S) -> None:
    """Return once the tasks have ended. None is a task that never began.

    redis-py (8.1 on Python 3.11) loses a cancellation that meets it inside `get_message`, in the middle of a command or while it connects,
    aiormq one that meets an answer, and so does `asyncio.wait_for` (before 3.12) when what it waits for ends at the same time: one is not
    enough. `again_s` is how long a task has to give back what it holds before it is asked again.
    """
    left = {task for task in tasks if task is not None}
    while left := {task for task in left if not task.done()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=again_s)
