"""Two ends of one channel, as two processes have them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.redis_channel import RedisChannel

__all__ = ["Wire", "redis_wire"]

End_co = TypeVar("End_co", covariant=True)
Channel = TypeVar("Channel", bound=RedisChannel)


@dataclass(frozen=True)
class Wire(Generic[End_co]):
    """One end tells, the other listens; in memory both are one."""

    here: End_co
    there: End_co


@asynccontextmanager
async def redis_wire(end: Callable[[], Channel]) -> AsyncIterator[Wire[Channel]]:
    """Through Redis: what `here` tells arrives at `there`."""
    here, there = end(), end()
    try:
        await there.start()
        await asyncio.wait_for(there.subscribed(), 10)
        yield Wire(here, there)
    finally:
        await here.stop()
        await there.stop()
