"""An inbox in Redis: one for all workers of a service. Many claims are one script, so a busy worker pays one round trip for them all."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from dualrun.inbox import KEEP_S, LEASE_S, SETTLED_KEEP_S, Change, Claim, ClaimRequest, ClaimState, InboxUnavailable

__all__ = ["RedisInbox"]

_TIMEOUT_S = 1.0

# A value is one letter and its text: c token (claimed; the key lives as long as the lease), n attempt (released for that attempt),
# d result (done), x (cancelled). Beside it, at the same name with a suffix, the number of claims whose end nobody has told: it outlives
# their leases, and a key of its own leaves the values as workers of earlier releases know them.
_TAKEN = r"'\31taken'"
# ARGV: lease and keep in ms, then, in one piece, token and attempt for each key: the client would take longer over many arguments than
# over anything else. Answers: '' ours, else the letter and its text; for c, ms left; l and a number: ours, and so many were lost before.
_CLAIM = """
local answers = {}
local requests = cmsgpack.unpack(ARGV[3])
for i, key in ipairs(KEYS) do
  local token, attempt = requests[i][1], requests[i][2]
  local value = redis.call('GET', key)
  local letter = value and string.sub(value, 1, 1)
  if not value or value == 'c' .. token or (letter == 'n' and attempt >= tonumber(string.sub(value, 2))) then
    local taken = tonumber(redis.call('GET', key .. TAKEN) or 0)
    if value ~= 'c' .. token then
      taken = taken + 1
      redis.call('SET', key .. TAKEN, taken, 'PX', ARGV[2])
    end
    redis.call('SET', key, 'c' .. token, 'PX', ARGV[1])
    answers[i] = taken > 1 and 'l' .. (taken - 1) or ''
  elseif letter == 'c' then
    answers[i] = 'c' .. redis.call('PTTL', key)
  else
    answers[i] = value
  end
end
return answers
""".replace("TAKEN", _TAKEN)
# ARGV: lease, keep and settled keep in ms, then, in one piece, verb, token, next attempt, the change's own keep in ms and the place of its
# result for each key, then the results, which may be any bytes.
_CHANGE = """
local changes = cmsgpack.unpack(ARGV[4])
for i, key in ipairs(KEYS) do
  local verb, token, next_attempt, keep, place = unpack(changes[i])
  local value = redis.call('GET', key)
  local is_done = value and string.sub(value, 1, 1) == 'd'
  local is_holder = value == 'c' .. token
  if verb == 'complete' and not is_done then
    redis.call('SET', key, 'd' .. (ARGV[place] or ''), 'PX', ARGV[2])
    redis.call('DEL', key .. TAKEN)
  elseif verb == 'cancel' and not is_done then
    redis.call('SET', key, 'x', 'PX', string.format('%d', keep))
    redis.call('DEL', key .. TAKEN)
  elseif verb == 'settle' and is_done then
    redis.call('SET', key, 'd', 'PX', ARGV[3])
  elseif verb == 'renew' and is_holder then
    redis.call('PEXPIRE', key, ARGV[1])
  elseif verb == 'release' and is_holder and next_attempt ~= 0 then
    redis.call('SET', key, 'n' .. string.format('%d', next_attempt), 'PX', ARGV[2])
    redis.call('DEL', key .. TAKEN)
  elseif verb == 'release' and is_holder then
    redis.call('DEL', key)
    if redis.call('DECR', key .. TAKEN) < 1 then
      redis.call('DEL', key .. TAKEN)
    end
  elseif verb == 'forget' then
    redis.call('DEL', key, key .. TAKEN)
  end
end
""".replace("TAKEN", _TAKEN)


class RedisInbox:
    """Implements `Inbox`. Keys are `{prefix}inbox:...`."""

    def __init__(
        self, url: str, prefix: str, *, lease_s: float = LEASE_S, keep_s: float = KEEP_S, settled_keep_s: float = SETTLED_KEEP_S
    ) -> None:
        self.lease_s = lease_s
        self._prefix = f"{prefix}inbox:"
        self._times_ms = tuple(max(1, round(seconds * 1e3)) for seconds in (lease_s, keep_s, settled_keep_s))
        # A connection that Redis's restart left dead is found out by using it: once more, at once. Who waits longer decides for itself.
        self._redis = redis.asyncio.Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 1)
        )
        self._claim = self._redis.register_script(_CLAIM)
        self._change = self._redis.register_script(_CHANGE)

    async def claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        packed = msgspec.msgpack.encode([(request.token, request.attempt) for request in requests])
        answers: Sequence[bytes] = await self._run(self._claim, [request.key for request in requests], [*self._times_ms[:2], packed])
        return [_claim_of(answer) for answer in answers]

    async def change(self, changes: Sequence[Change]) -> None:
        arguments: list[bytes | int] = [*self._times_ms, b""]
        packed: list[tuple[str, str, int, int, int]] = []
        for change in changes:
            if change.result:
                arguments.append(change.result)
            packed.append((change.verb, change.token, change.next_attempt, self._keep_ms(change), len(arguments) if change.result else 0))
        arguments[3] = msgspec.msgpack.encode(packed)
        await self._run(self._change, [change.key for change in changes], arguments)

    def _keep_ms(self, change: Change) -> int:
        return self._times_ms[1] if change.keep_s is None else max(1, round(change.keep_s * 1e3))

    async def cancelled(self, keys: Sequence[str]) -> Sequence[bool]:
        try:
            values = await self._redis.mget([self._prefix + key for key in keys]) if keys else []
        except (RedisError, OSError, TimeoutError) as exc:
            raise InboxUnavailable(f"Redis out of reach: {exc}") from exc
        return [value == b"x" for value in values]

    async def close(self) -> None:
        """Leave Redis."""
        await self._redis.aclose()

    async def _run(self, script: AsyncScript, keys: Sequence[str], arguments: Sequence[bytes | int]) -> Sequence[bytes]:
        try:
            answer: Sequence[bytes] = await script(keys=[self._prefix + key for key in keys], args=arguments)
        except (RedisError, OSError, TimeoutError) as exc:
            raise InboxUnavailable(f"Redis out of reach: {exc}") from exc
        return answer


def _claim_of(answer: bytes) -> Claim:
    letter, text = answer[:1], answer[1:]
    if letter in {b"", b"l"}:
        return Claim(ClaimState.OURS, lost=int(text or 0))
    if letter == b"c":
        return Claim(ClaimState.HELD, held_s=max(0, int(text)) / 1e3)
    if letter == b"x":
        return Claim(ClaimState.CANCELLED)
    return Claim(ClaimState.DONE, result=text) if letter == b"d" else Claim(ClaimState.SUPERSEDED)
