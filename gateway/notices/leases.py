"""Which process sends to a webhook: in memory for one process, in Redis for several.

Layout in Redis: `{prefix}webhooks:{name}:lease` the holder, with its time; `{prefix}webhooks:{name}:position` how far it has come.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import cast

from redis.asyncio import Redis

from gateway.notices.log_redis import translated

__all__ = ["MemoryWebhookLeases", "RedisWebhookLeases"]

_TIMEOUT_S = 2.0
_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_ADVANCE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1
"""
_LET_GO = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class MemoryWebhookLeases:
    """Implements `WebhookLeases` for one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._leases: dict[str, tuple[str, float]] = {}
        self._positions: dict[str, str] = {}

    async def hold(self, webhook: str, holder: str, lease_s: float) -> bool:
        if self._holder(webhook) not in (None, holder):
            return False
        self._leases[webhook] = holder, self._clock() + lease_s
        return True

    async def let_go(self, webhook: str, holder: str) -> None:
        if self._holder(webhook) == holder:
            del self._leases[webhook]

    async def position(self, webhook: str) -> str | None:
        return self._positions.get(webhook)

    async def advance(self, webhook: str, holder: str, position: str) -> bool:
        if self._holder(webhook) != holder:
            return False
        self._positions[webhook] = position
        return True

    def _holder(self, webhook: str) -> str | None:
        holder, until = self._leases.get(webhook, (None, 0.0))
        return holder if self._clock() < until else None


class RedisWebhookLeases:
    """Implements `WebhookLeases` for every process on one Redis and prefix."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._prefix = f"{prefix}webhooks:"

    async def start(self) -> None:
        """Connections are made as they are needed."""

    async def stop(self) -> None:
        """Leave Redis."""
        await self._redis.aclose()

    async def hold(self, webhook: str, holder: str, lease_s: float) -> bool:
        return bool(await self._run(_HOLD, webhook, holder, int(lease_s * 1_000)))

    async def let_go(self, webhook: str, holder: str) -> None:
        await self._run(_LET_GO, webhook, holder)

    async def position(self, webhook: str) -> str | None:
        found = await translated(cast("Awaitable[bytes | None]", self._redis.get(f"{self._prefix}{webhook}:position")))
        return None if found is None else found.decode()

    async def advance(self, webhook: str, holder: str, position: str) -> bool:
        return bool(await self._run(_ADVANCE, webhook, holder, position))

    async def _run(self, script: str, webhook: str, *values: str | int) -> int:
        keys = (f"{self._prefix}{webhook}:lease", f"{self._prefix}{webhook}:position")
        return await translated(cast("Awaitable[int]", self._redis.eval(script, 2, *keys, *values)))
