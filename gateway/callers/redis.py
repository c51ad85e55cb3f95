"""Counts in Redis, a hash a task. They are kept in memory for a moment and written together: a request never waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import cast

import redis.asyncio
from redis.exceptions import RedisError

from dualrun.background import cancelled
from gateway.core.errors import StoreUnavailable
from gateway.core.ports import CallerAct

__all__ = ["RedisCallerCounts"]

_WRITTEN_EVERY_S = 2.0
_SOCKET_TIMEOUT_S = 2.0


class RedisCallerCounts:
    """Implements `CallerCounts`. While Redis is away the counts wait, a number for each task and act."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = f"{prefix}callers:"
        self._redis = redis.asyncio.Redis.from_url(url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=_SOCKET_TIMEOUT_S)
        self._noted: Counter[tuple[str, CallerAct]] = Counter()
        self._writing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to write."""
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_again_and_again(), name="write counts of callers")

    async def stop(self) -> None:
        """Write what is left, if Redis takes it, and leave."""
        writing, self._writing = self._writing, None
        await cancelled(writing)
        with contextlib.suppress(StoreUnavailable):
            await self._write()
        await self._redis.aclose()

    def note(self, task: str, act: CallerAct) -> None:
        self._noted[task, act] += 1

    async def of_task(self, task: str) -> Mapping[CallerAct, int]:
        await self._write()
        try:
            stored = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(self._prefix + task))
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"Redis out of reach: {exc}") from exc
        return {act: int(stored[act.encode()]) for act in CallerAct if act.encode() in stored}

    async def _write_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(_WRITTEN_EVERY_S)
            with contextlib.suppress(StoreUnavailable):
                await self._write()

    async def _write(self) -> None:
        noted, self._noted = self._noted, Counter()
        if not noted:
            return
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                for (task, act), n in noted.items():
                    pipeline.hincrby(self._prefix + task, str(act), n)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as exc:
            self._noted.update(noted)
            raise StoreUnavailable(f"Redis out of reach: {exc}") from exc
