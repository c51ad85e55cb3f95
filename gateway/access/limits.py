"""How fast, and how many at once: requests of one caller in all gateways together, and requests that wait in this process.

A submission never asks Redis whether it may: counts are kept here and exchanged a few times a second, and while Redis is away each gateway
counts for itself.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dualrun.background import cancelled
from gateway.core.access import Identity
from gateway.core.errors import StoreUnavailable, TooManyRequests

__all__ = ["WINDOW_S", "Limits", "MemoryRateCounts", "RateCounts", "RedisRateCounts"]

log = logging.getLogger(__name__)

WINDOW_S = 10
_EXCHANGE_S = 0.25
_TIMEOUT_S = 1.0
_FAILURES_PER_S = 1.0
_SHARE_OF_ONE = 4
_RETRY_S = 1


class RateCounts(Protocol):
    """What all gateways have counted."""

    async def add(self, window: int, counts: Mapping[str, int]) -> Mapping[str, int]:
        """Add to a window's counts; gives the totals. Raises `StoreUnavailable`."""
        ...

    async def stop(self) -> None:
        """Leave the store."""
        ...


class MemoryRateCounts:
    """`RateCounts` of one process."""

    def __init__(self) -> None:
        self._totals: dict[tuple[int, str], int] = {}

    async def add(self, window: int, counts: Mapping[str, int]) -> Mapping[str, int]:
        self._totals = {key: total for key, total in self._totals.items() if key[0] >= window - 1}
        for name, count in counts.items():
            self._totals[window, name] = self._totals.get((window, name), 0) + count
        return {name: self._totals[window, name] for name in counts}

    async def stop(self) -> None:
        return


class RedisRateCounts:
    """`RateCounts` of every gateway on one Redis and prefix: a key a caller and window, gone soon after it."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._prefix = f"{prefix}rate:"

    async def add(self, window: int, counts: Mapping[str, int]) -> Mapping[str, int]:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for name, count in counts.items():
                    key = f"{self._prefix}{window}:{name}"
                    pipe.incrby(key, count)
                    pipe.expire(key, 2 * WINDOW_S)
                answers = cast("list[int]", await pipe.execute())
        except (RedisError, OSError) as exc:
            raise StoreUnavailable(f"Redis: {exc}") from exc
        return dict(zip(counts, answers[::2], strict=True))

    async def stop(self) -> None:
        await self._redis.aclose()


class _Count:
    __slots__ = ("known", "new", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.known = 0
        """What the exchange before told, and what was given to it since."""
        self.new = 0


class Limits:
    """Refuses what is too fast or too much. It waits for nothing, and needs nothing that is away."""

    def __init__(self, counts: RateCounts, *, rate_per_s: float, max_waits: int, clock: Callable[[], float] = time.time) -> None:
        self._counts = counts
        self._rate_per_s = rate_per_s
        self._max_waits = max_waits
        self._clock = clock
        self._by_name: dict[str, _Count] = {}
        self._waiting: dict[str, int] = {}
        self._exchanging: asyncio.Task[None] | None = None
        self.refused = 0
        """Requests refused by this process since it began."""

    async def start(self) -> None:
        """Begin to exchange counts with the other gateways."""
        self._exchanging = asyncio.create_task(self._exchange_on(), name="rate counts")

    async def stop(self) -> None:
        """Exchange nothing more."""
        await cancelled(self._exchanging)
        await self._counts.stop()

    def request_of(self, caller: Identity) -> None:
        """Count one more. Raises `TooManyRequests`."""
        rate_per_s = self._rate_per_s if caller.rate_per_s is None else caller.rate_per_s
        if rate_per_s:
            self._count(caller.credential, rate_per_s, "requests")

    def failure_from(self, address: str) -> None:
        """Count one more that did not know who it is. Raises `TooManyRequests`; whoever does know is never kept out by it."""
        self._count(f"failed:{address}", _FAILURES_PER_S, "failed attempts to say who you are")

    @contextmanager
    def waiting(self, caller: Identity) -> Iterator[None]:
        """One more request that waits, for as long as the block runs. Raises `TooManyRequests`."""
        own = self._waiting.get(caller.credential, 0)
        if sum(self._waiting.values()) >= self._max_waits or (caller.credential and own >= max(1, self._max_waits // _SHARE_OF_ONE)):
            self.refused += 1
            raise TooManyRequests(f"{own} of your requests wait here already, of {self._max_waits} that may in all", _RETRY_S)
        self._waiting[caller.credential] = own + 1
        try:
            yield
        finally:
            left = self._waiting[caller.credential] - 1
            if left:
                self._waiting[caller.credential] = left
            else:
                del self._waiting[caller.credential]

    def _count(self, name: str, rate_per_s: float, what: str) -> None:
        now = self._clock()
        window = int(now // WINDOW_S)
        count = self._by_name.get(name)
        if count is None or count.window != window:
            count = self._by_name[name] = _Count(window)
        if count.known + count.new >= rate_per_s * WINDOW_S:
            self.refused += 1
            raise TooManyRequests(f"more than {rate_per_s:g} {what} a second, over {WINDOW_S} s", math.ceil((window + 1) * WINDOW_S - now))
        count.new += 1

    async def exchange(self) -> None:
        """Tell the other gateways what was counted here, and hear what they did. Raises `StoreUnavailable`."""
        window = int(self._clock() // WINDOW_S)
        self._by_name = {name: count for name, count in self._by_name.items() if count.window == window}
        told = {name: count.new for name, count in self._by_name.items() if count.new}
        if not told:
            return
        for name, new in told.items():
            self._by_name[name].new -= new
            self._by_name[name].known += new
        for name, total in (await self._counts.add(window, told)).items():
            if (count := self._by_name.get(name)) is not None and count.window == window:
                count.known = total

    async def _exchange_on(self) -> None:
        was_away = False
        while True:
            await asyncio.sleep(_EXCHANGE_S)
            try:
                await self.exchange()
                was_away = False
            except StoreUnavailable as exc:
                if not was_away:
                    log.warning("rates_counted_alone", extra={"reason": str(exc)})
                was_away = True
