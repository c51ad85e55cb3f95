"""The circuits of all services as their workers keep them in Redis (layout: `dualrun.breakers_redis`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from dualrun.breakers import BreakerState, SharedBreaker
from dualrun.breakers_redis import breaker_key, breakers_key
from gateway.core.errors import StoreUnavailable

__all__ = ["RedisBreakers"]

_TIMEOUT_S = 2.0
_SHOWN_MAX = 10_000
_member = msgspec.json.Decoder(tuple[str, str])


class RedisBreakers:
    """Implements `BreakerReader`; asks Redis each time."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._prefix = prefix

    async def start(self) -> None:
        """Nothing is needed before the first question."""

    async def stop(self) -> None:
        """Leave Redis."""
        await self._redis.aclose()

    async def read(self) -> Sequence[SharedBreaker]:
        try:
            seconds, microseconds = await self._redis.time()
            newest = await self._redis.zrange(breakers_key(self._prefix), 0, _SHOWN_MAX - 1, desc=True, withscores=True)
            members = cast("list[tuple[bytes, float]]", newest)
            async with self._redis.pipeline(transaction=False) as pipe:
                for member, _ in members:
                    pipe.hgetall(breaker_key(self._prefix, member.decode()))
                circuits: list[dict[bytes, bytes]] = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"Redis out of reach: {exc}") from exc
        now_ms = seconds * 1e3 + microseconds / 1e3
        found = [_shown(member, used_ms, circuit, now_ms) for (member, used_ms), circuit in zip(members, circuits, strict=True) if circuit]
        return sorted(found, key=lambda shown: (shown.service, shown.name))


def _shown(member: bytes, used_ms: float, circuit: Mapping[bytes, bytes], now_ms: float) -> SharedBreaker:
    service, name = _member.decode(member)
    open_until, opened_at = circuit.get(b"open_until"), circuit.get(b"opened_at")
    open_s = None if open_until is None else max(0.0, round((float(open_until) - now_ms) / 1e3, 3))
    return SharedBreaker(
        service=service,
        name=name,
        state=BreakerState.of(open_s).name.lower(),
        failures=int(circuit.get(b"failures", b"0")),
        failures_max=int(circuit.get(b"failures_max", b"0")),
        open_s=open_s,
        opened_at=None if opened_at is None else _moment(float(opened_at)),
        used_at=_moment(used_ms),
    )


def _moment(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1e3, UTC)
