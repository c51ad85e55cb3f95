"""Notices that an outcome has come: within one process, and between processes through Redis."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

import redis.asyncio
from redis.exceptions import RedisError

from gateway.cancellation import cancelled

__all__ = ["MemoryNotices", "RedisNotices"]

log = logging.getLogger(__name__)

_RECONNECT_S = 1.0
_SOCKET_TIMEOUT_S = 2.0
_LISTEN_S = 5.0


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


class RedisNotices:
    """Implements `OutcomeNotices` between processes: one subscription a process, whatever number waits.

    Without Redis, notices of other processes are lost and those of this one still arrive.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._channel = f"{prefix}outcomes"
        self._redis = redis.asyncio.Redis.from_url(url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=_SOCKET_TIMEOUT_S)
        self._local = MemoryNotices()
        self._listening: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen; returns at once, whether or not Redis is there."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="listen for outcome notices")

    async def stop(self) -> None:
        """Listen no more, and leave Redis."""
        listening, self._listening = self._listening, None
        await cancelled(listening)
        await self._redis.aclose()

    async def subscribed(self) -> None:
        """Return once notices of other processes arrive here."""
        await self._subscribed.wait()

    async def probe(self) -> str | None:
        """None where Redis answers, else what is wrong."""
        try:
            await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as exc:
            return f"Redis out of reach: {exc}"
        return None

    async def notify(self, submission_ids: Sequence[str]) -> None:
        self._local.wake(submission_ids)
        if not submission_ids:
            return
        try:
            await self._redis.publish(self._channel, "\n".join(submission_ids))
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("notices_lost", extra={"count": len(submission_ids), "reason": str(exc)})

    async def wait(self, submission_id: str, timeout_s: float) -> bool:
        await self.start()
        return await self._local.wait(submission_id, timeout_s)

    async def _listen(self) -> None:
        while True:
            try:
                await self._receive()
            except (RedisError, OSError, TimeoutError) as exc:
                log.warning("notices_disconnected", extra={"reason": str(exc)})
            self._subscribed.clear()
            await asyncio.sleep(_RECONNECT_S)

    async def _receive(self) -> None:
        async with self._redis.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            while True:
                message = await subscription.get_message(timeout=_LISTEN_S)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._subscribed.set()
                elif message["type"] == "message":
                    self._local.wake(bytes(message["data"]).decode().split("\n"))
