"""Waiting for what a service does in its own time and tells nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["becomes"]

WAIT_S = 30.0
PAUSE_S = 0.02


async def becomes(look: Callable[[], Awaitable[object]], expected: object) -> None:
    """Look until it is as expected; fails, saying what it was, when that takes too long."""
    deadline_s = asyncio.get_running_loop().time() + WAIT_S
    while (seen := await look()) != expected:
        assert asyncio.get_running_loop().time() < deadline_s, f"still {seen!r}, not {expected!r}"
        await asyncio.sleep(PAUSE_S)
