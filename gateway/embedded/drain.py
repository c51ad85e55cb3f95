"""Working off what waits in memory before the workers stop: nothing in memory outlives them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

__all__ = ["until_empty"]

_LOOK_AGAIN_S = 0.05


async def until_empty(waiting: Callable[[], Awaitable[int]], drain_s: float) -> None:
    """Return when nothing waits any more, or after `drain_s`. The transports in memory have no event for it: they are asked."""
    with suppress(TimeoutError):
        async with asyncio.timeout(drain_s):
            while await waiting():  # noqa: ASYNC110 - see above
                await asyncio.sleep(_LOOK_AGAIN_S)
