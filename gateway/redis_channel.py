"""A channel of Redis on which every process hears every other: one subscription a process, taken up again when Redis is back."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from datetime import UTC, datetime

import redis.asyncio
from redis.exceptions import RedisError

from dualrun.background import cancelled
from gateway.core.installation import PartFacts

__all__ = ["RedisChannel"]

log = logging.getLogger(__name__)

_RECONNECT_S = 1.0
_SOCKET_TIMEOUT_S = 2.0
_LISTEN_S = 5.0


class RedisChannel(ABC):
    """What is heard on one channel. Messages sent while this process is not subscribed are lost to it: they are hints."""

    def __init__(self, url: str, channel: str) -> None:
        self._channel = channel
        self._redis = redis.asyncio.Redis.from_url(url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=_SOCKET_TIMEOUT_S)
        self._listening: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen; returns at once, whether or not Redis is there."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name=f"listen to {self._channel}")

    async def stop(self) -> None:
        """Listen no more, and leave Redis."""
        listening, self._listening = self._listening, None
        await cancelled(listening)
        await self._redis.aclose()

    async def subscribed(self) -> None:
        """Return once messages arrive here."""
        await self._subscribed.wait()

    async def probe(self) -> str | None:
        """None where Redis answers, else what is wrong."""
        try:
            await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as exc:
            return f"Redis out of reach: {exc}"
        return None

    async def facts(self) -> PartFacts | None:
        """Redis's version and its clock; None while it is away."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.info("server")
                pipe.time()
                server, (seconds, microseconds) = await pipe.execute()
        except (RedisError, OSError, TimeoutError):
            return None
        return PartFacts(str(server["redis_version"]), datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, UTC))

    @property
    def _is_subscribed(self) -> bool:
        """Whether messages arrive here, those of this process included."""
        return self._subscribed.is_set()

    @abstractmethod
    async def _take(self, message: bytes) -> None:
        """What to do with a message that arrives."""

    async def _send(self, message: bytes) -> bool:
        """Whether Redis took it. Never raises."""
        try:
            await self._redis.publish(self._channel, message)
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("notices_lost", extra={"channel": self._channel, "reason": str(exc)})
            return False
        return True

    async def _listen(self) -> None:
        while True:
            try:
                await self._receive()
            except (RedisError, OSError, TimeoutError) as exc:
                log.warning("notices_disconnected", extra={"channel": self._channel, "reason": str(exc)})
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
                    await self._take(bytes(message["data"]))
