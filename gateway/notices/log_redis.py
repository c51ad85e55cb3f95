"""The log of notices as a Redis stream, so that any gateway can go on where another stopped.

Layout: stream `{prefix}notices`, one field a notice; `{prefix}notices:told:{id}` keeps an id from being told twice;
`{prefix}notices:newest` maps a type to its newest notice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import TypeAlias, TypeVar, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from dualrun.background import cancelled
from gateway.core.errors import StoreUnavailable
from gateway.core.notice import Logged, Notice, NoticeType
from gateway.notices.log_memory import KEPT, Appended

__all__ = ["RedisNoticeLog", "translated"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 2.0
_BLOCK_S = 5.0
_RECONNECT_S = 1.0
_TOLD_FOR_S = 7 * 24 * 3600
_BEGINNING = "0-0"
_APPEND = """
if not redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[3]) then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'n', ARGV[1])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[1])
return 1
"""
_Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]
_T = TypeVar("_T")
_decode = msgspec.json.Decoder(Notice).decode


class RedisNoticeLog:
    """Implements `NoticeLog` for every process on one Redis and prefix. One connection listens, whatever number waits."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._listener = Redis.from_url(url, socket_timeout=_BLOCK_S + _TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._stream = f"{prefix}notices"
        self._appended = Appended()
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen; returns at once, whether or not Redis is there."""
        self._listening = asyncio.create_task(self._listen(), name="listen for notices")

    async def stop(self) -> None:
        """Listen no more, and leave Redis."""
        await cancelled(self._listening)
        await self._listener.aclose()
        await self._redis.aclose()

    async def append(self, notice: Notice) -> None:
        keys = (self._stream, f"{self._stream}:told:{notice.id}", f"{self._stream}:newest")
        body = msgspec.json.encode(notice)
        await translated(cast("Awaitable[int]", self._redis.eval(_APPEND, 3, *keys, body, notice.type.value, _TOLD_FOR_S, KEPT)))
        self._appended.wake()

    async def after(self, position: str, limit: int = 100) -> Sequence[Logged]:
        entries = cast("Awaitable[_Entries]", self._redis.xrange(self._stream, min=f"({position}", count=limit))
        found = await translated(entries)
        return [Logged(key.decode(), _decode(fields[b"n"])) for key, fields in found]

    async def end(self) -> str:
        found = await translated(cast("Awaitable[_Entries]", self._redis.xrevrange(self._stream, count=1)))
        return found[0][0].decode() if found else _BEGINNING

    async def newest(self, kind: NoticeType) -> Notice | None:
        body = await translated(cast("Awaitable[bytes | None]", self._redis.hget(f"{self._stream}:newest", kind.value)))
        return None if body is None else _decode(body)

    def listen(self) -> asyncio.Event:
        return self._appended.listen()

    async def _listen(self) -> None:
        while True:
            try:
                position = await self.end()
                while True:
                    read = self._listener.xread({self._stream: position}, block=int(_BLOCK_S * 1_000))
                    for _, entries in await translated(cast("Awaitable[list[tuple[bytes, _Entries]]]", read)):
                        position = entries[-1][0].decode()
                        self._appended.wake()
            except StoreUnavailable as exc:
                log.warning("notices_not_heard", extra={"reason": str(exc)})
            await asyncio.sleep(_RECONNECT_S)


async def translated(answer: Awaitable[_T]) -> _T:
    """The answer. Raises `StoreUnavailable` where Redis gives none."""
    try:
        return await answer
    except (RedisError, OSError) as exc:
        raise StoreUnavailable(f"Redis: {exc}") from exc
