"""A board of breakers in Redis, where the gateway reads it.

Keys, each behind a prefix; times in Unix milliseconds of Redis's own clock:

    breakers             ZSET   JSON array [service, name] -> when a process last asked for it
    breaker:[s,n]        HASH   failures, failures_max; open_until, opened_at, trial_until where it is not closed
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from dualrun.breakers import Standing

__all__ = ["RedisBreakerBoard", "breaker_key", "breakers_key"]

log = logging.getLogger(__name__)
T = TypeVar("T")

_TIMEOUT_S = 0.5
_AWAY_S = 1.0
"""How long nobody asks a Redis that was out of reach: its silence must not cost every call a wait."""
_KEEP_MS = 24 * 3600 * 1000

# KEYS: hash, index. ARGV: member, failures_max, reset in ms. Answers: failures, ms left open (-1 closed).
_HEAD = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('HSET', KEYS[1], 'failures_max', ARGV[2])
redis.call('PEXPIRE', KEYS[1], {_KEEP_MS})
local open_until = tonumber(redis.call('HGET', KEYS[1], 'open_until'))
"""
_LOOK = f"""{_HEAD}
redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, now - {_KEEP_MS})
local failures = tonumber(redis.call('HGET', KEYS[1], 'failures') or 0)
return {{failures, open_until and math.max(0, open_until - now) or -1}}
"""
_FAILED = f"""{_HEAD}
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if (open_until and open_until <= now) or (not open_until and failures >= tonumber(ARGV[2])) then
  open_until = now + ARGV[3]
  redis.call('HSET', KEYS[1], 'open_until', open_until)
  redis.call('HSETNX', KEYS[1], 'opened_at', now)
  redis.call('HDEL', KEYS[1], 'trial_until')
end
return {{failures, open_until and math.max(0, open_until - now) or -1}}
"""
# KEYS: hash. ARGV: how long a trial may take, in ms. Answers ms until another's counts as lost, 0 for ours.
_TRIAL = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local trial_until = tonumber(redis.call('HGET', KEYS[1], 'trial_until') or 0)
if trial_until > now then return trial_until - now end
if redis.call('HEXISTS', KEYS[1], 'open_until') == 1 then redis.call('HSET', KEYS[1], 'trial_until', now + ARGV[1]) end
return 0
"""


def breakers_key(prefix: str) -> str:
    """The index of circuits."""
    return f"{prefix}breakers"


def breaker_key(prefix: str, member: str) -> str:
    """The circuit of a member of the index."""
    return f"{prefix}breaker:{member}"


class RedisBreakerBoard:
    """Implements `BreakerBoard` for one service."""

    look_every_s = 0.5

    def __init__(self, url: str, prefix: str, service: str) -> None:
        self._prefix = prefix
        self._service = service
        self._away_until_s = 0.0
        self._redis = redis.asyncio.Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._look = self._redis.register_script(_LOOK)
        self._failed = self._redis.register_script(_FAILED)
        self._trial = self._redis.register_script(_TRIAL)

    async def look(self, name: str, failures_max: int, reset_s: float) -> Standing | None:
        return await self._ask(self._look, name, failures_max, reset_s)

    async def failed(self, name: str, failures_max: int, reset_s: float) -> Standing | None:
        return await self._ask(self._failed, name, failures_max, reset_s)

    async def succeeded(self, name: str) -> None:
        key = breaker_key(self._prefix, self._member(name))
        await self._answer(lambda: self._redis.hdel(key, "failures", "open_until", "opened_at", "trial_until"))

    async def begin_trial(self, name: str, reset_s: float) -> float | None:
        key = breaker_key(self._prefix, self._member(name))
        left_ms: int | None = await self._answer(lambda: self._trial(keys=[key], args=[_ms(reset_s)]))
        return None if left_ms is None else left_ms / 1e3

    async def close(self) -> None:
        """Leave Redis."""
        await self._redis.aclose()

    def _member(self, name: str) -> str:
        return msgspec.json.encode([self._service, name]).decode()

    async def _ask(self, script: AsyncScript, name: str, failures_max: int, reset_s: float) -> Standing | None:
        member = self._member(name)
        keys = [breaker_key(self._prefix, member), breakers_key(self._prefix)]
        arguments: list[str | int] = [member, failures_max, _ms(reset_s)]
        answer: Sequence[int] | None = await self._answer(lambda: script(keys=keys, args=arguments))
        if answer is None:
            return None
        failures, open_ms = answer
        return Standing(failures=failures, open_s=None if open_ms < 0 else open_ms / 1e3)

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        if time.monotonic() < self._away_until_s:
            return None
        try:
            return await ask()
        except (RedisError, OSError, TimeoutError) as exc:
            self._away_until_s = time.monotonic() + _AWAY_S
            log.warning("breakers_not_shared", extra={"service": self._service, "error": str(exc)})
            return None


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1e3))
