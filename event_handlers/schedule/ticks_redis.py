"""Ticks in Redis: one store for all schedulers of a service."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from event_handlers.schedule.ticks import CLAIM_S, TicksUnavailable

__all__ = ["RedisTicks"]

T = TypeVar("T")
_TIMEOUT_S = 1.0

# KEYS: the last tick published, the claim of this one. ARGV: the tick, the claim's length in ms. Answers 1 ours, 2 another's, 0 published.
_CLAIM = """
local last = redis.call('GET', KEYS[1])
if last and tonumber(last) >= tonumber(ARGV[1]) then return 0 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then return 1 end
return 2
"""
_PUBLISHED = """
local last = redis.call('GET', KEYS[1])
if not last or tonumber(last) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
redis.call('DEL', KEYS[2])
"""


class RedisTicks:
    """Implements `Ticks`. Keys are `{prefix}ticks:{service}:...`."""

    def __init__(self, url: str, prefix: str, service: str, *, claim_s: float = CLAIM_S) -> None:
        self._prefix = f"{prefix}ticks:{service}:"
        self._claim_ms = max(1, round(claim_s * 1e3))
        self._redis = redis.asyncio.Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 1)
        )
        self._claim = self._redis.register_script(_CLAIM)
        self._published = self._redis.register_script(_PUBLISHED)

    async def claim(self, schedule: str, tick: datetime) -> bool | None:
        at_s = int(tick.timestamp())
        answer: int = await self._answer(self._claim(keys=self._keys(schedule, at_s), args=[at_s, self._claim_ms]))
        return {0: False, 1: True, 2: None}[answer]

    async def published(self, schedule: str, tick: datetime) -> None:
        at_s = int(tick.timestamp())
        await self._answer(self._published(keys=self._keys(schedule, at_s), args=[at_s]))

    async def close(self) -> None:
        """Leave Redis."""
        await self._redis.aclose()

    def _keys(self, schedule: str, at_s: int) -> list[str]:
        return [f"{self._prefix}{schedule}", f"{self._prefix}{schedule}:{at_s}"]

    async def _answer(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except (RedisError, OSError, TimeoutError) as exc:
            raise TicksUnavailable(f"Redis out of reach: {exc}") from exc
