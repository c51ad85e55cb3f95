"""Ending a background task that talks to a server."""

from __future__ import annotations

import asyncio

__all__ = ["cancelled"]

_CANCEL_AGAIN_S = 0.1


async def cancelled(task: asyncio.Task[None] | None) -> None:
    """Return once the task has ended. None is a task that never began.

    redis-py (8.1 on Python 3.11) loses a cancellation that meets it inside `get_message` or while it connects, and so does
    `asyncio.wait_for` (before 3.12) when what it waits for ends at the same time: one is not enough.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_AGAIN_S)
