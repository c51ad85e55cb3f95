"""Notices that an outcome has come: within one process, and between processes through Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from gateway.redis_channel import RedisChannel

__all__ = ["MemoryNotices", "RedisNotices"]


class MemoryNotices:
    """Implements `OutcomeNotices` for one process."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def notify(self, submission_ids: Sequence[str]) -> None:
        self.wake(submission_ids)

    async def wait(self, submission_id: str, timeout_s: float) -> bool:
        noticed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(submission_id, set())
        waiting.add(noticed)
        try:
            done, _ = await asyncio.wait([noticed], timeout=timeout_s)
            return bool(done)
        finally:
            waiting.discard(noticed)
            if not waiting and self._waiting.get(submission_id) is waiting:
                del self._waiting[submission_id]

    def wake(self, submission_ids: Iterable[str]) -> None:
        """Wake those who wait in this process."""
        for submission_id in submission_ids:
            for noticed in self._waiting.get(submission_id, ()):
                if not noticed.done():
                    noticed.set_result(None)


class RedisNotices(RedisChannel):
    """Implements `OutcomeNotices` between processes: one subscription a process, whatever number waits.

    Without Redis, notices of other processes are lost and those of this one still arrive.
    """

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, f"{prefix}outcomes")
        self._local = MemoryNotices()

    async def notify(self, submission_ids: Sequence[str]) -> None:
        self._local.wake(submission_ids)
        if submission_ids:
            await self._send("\n".join(submission_ids).encode())

    async def wait(self, submission_id: str, timeout_s: float) -> bool:
        await self.start()
        return await self._local.wait(submission_id, timeout_s)

    async def _take(self, message: bytes) -> None:
        self._local.wake(message.decode().split("\n"))
