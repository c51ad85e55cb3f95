"""Idempotency keys in Redis: one for all gateways. Each call is one script, so that two of them never interleave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis.asyncio
from redis.exceptions import RedisError

from gateway.core.errors import StoreUnavailable
from gateway.core.ports import Claim, ClaimState
from gateway.idempotency.memory import KEEP_S, LEASE_S

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RedisIdempotencyStore"]

_SOCKET_TIMEOUT_S = 2.0

# An entry is a hash: fp (fingerprint), id (submission), until (end of the lease, ms by Redis's clock), released, response.
# ARGV: fingerprint, submission id, lease ms, keep ms. A released key may serve another request, under another id; the same request keeps
# its id, since an earlier try that was given up may yet have got through.
_CLAIM = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local e = redis.call('HMGET', KEYS[1], 'fp', 'id', 'until', 'released', 'response')
local id = ARGV[2]
if e[1] and not (e[4] and e[1] ~= ARGV[1]) then
  if e[1] ~= ARGV[1] then return {'mismatch', e[2]} end
  if e[5] then return {'done', e[2], e[5]} end
  if not e[4] and now < tonumber(e[3]) then return {'in_progress', e[2]} end
  id = e[2]
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fp', ARGV[1], 'id', id, 'until', string.format('%.0f', now + ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'new', id}
"""
_COMPLETE = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'response', ARGV[1])
  redis.call('HDEL', KEYS[1], 'released')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
"""
_RELEASE = """
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HEXISTS', KEYS[1], 'response') == 0 then
  redis.call('HSET', KEYS[1], 'released', '1')
end
"""


class RedisIdempotencyStore:
    """Implements `IdempotencyStore`."""

    def __init__(self, url: str, prefix: str, *, lease_s: float = LEASE_S, keep_s: float = KEEP_S) -> None:
        self._prefix = f"{prefix}idempotency:"
        self._lease_ms = round(lease_s * 1000)
        self._keep_ms = round(keep_s * 1000)
        self._redis = redis.asyncio.Redis.from_url(url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=_SOCKET_TIMEOUT_S)
        self._claim = self._redis.register_script(_CLAIM)
        self._complete = self._redis.register_script(_COMPLETE)
        self._release = self._redis.register_script(_RELEASE)

    async def start(self) -> None:
        """Nothing to do: Redis is reached when a key is asked for."""

    async def stop(self) -> None:
        """Leave Redis."""
        await self._redis.aclose()

    async def claim(self, key: str, fingerprint: str, submission_id: str) -> Claim:
        answer: Sequence[bytes] = await self._run(self._claim, key, fingerprint, submission_id, self._lease_ms, self._keep_ms)
        state, id_ = ClaimState(answer[0].decode()), answer[1].decode()
        return Claim(state, id_, bytes(answer[2]) if len(answer) > 2 else None)

    async def complete(self, key: str, response: bytes) -> None:
        await self._run(self._complete, key, response, self._keep_ms)

    async def release(self, key: str) -> None:
        await self._run(self._release, key)

    async def _run(self, script: redis.commands.core.AsyncScript, key: str, *arguments: str | bytes | int) -> Sequence[bytes]:
        try:
            answer: Sequence[bytes] = await script(keys=[self._prefix + key], args=arguments)
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"Redis out of reach: {exc}") from exc
        return answer
