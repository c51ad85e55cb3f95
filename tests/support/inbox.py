"""A consumer's end for tests: deliveries can be awaited, one by one or by number."""

from __future__ import annotations

import asyncio

from dualrun.broker import Delivery

__all__ = ["Inbox"]

WAIT_S = 30.0


class Inbox:
    """Takes deliveries; settles none by itself."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()

    def __call__(self, delivery: Delivery) -> None:
        self._arrived.put_nowait(delivery)

    @property
    def waiting(self) -> int:
        """Deliveries nobody has taken yet."""
        return self._arrived.qsize()

    async def take(self) -> Delivery:
        """The next delivery; fails the test when none comes."""
        async with asyncio.timeout(WAIT_S):
            return await self._arrived.get()

    async def take_many(self, count: int) -> list[Delivery]:
        """The next `count` deliveries, in order."""
        return [await self.take() for _ in range(count)]
