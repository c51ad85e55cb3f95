"""The access list in Redis: one document, numbered by compare-and-set, pushed to every gateway and polled for.

Layout: `{prefix}access` the document in force, channel `{prefix}access:changed` carries each new one. It holds digests of tokens, no
token. The list in memory answers every request; Redis is asked for news alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from dualrun.background import cancelled
from gateway.core.access import AccessList, AccessSnapshot
from gateway.core.errors import StoreUnavailable
from gateway.disk import replace_file

__all__ = ["RedisAccessStore"]

log = logging.getLogger(__name__)

_POLL_S = 0.5
_RECONNECT_S = 0.2
_TIMEOUT_S = 2.0
_ATTEMPTS = 20
_PUT = """
local present = redis.call('GET', KEYS[1])
local version = 0
if present then version = cjson.decode(present).version end
if version ~= tonumber(ARGV[1]) then return present end
redis.call('SET', KEYS[1], ARGV[2])
redis.pcall('PUBLISH', ARGV[3], ARGV[2])
return ARGV[2]
"""
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(AccessList)


class RedisAccessStore:
    """`AccessStore` shared by every gateway on one Redis and prefix.

    While Redis is away the last known good list stays in force; `last_known_good` keeps it for a start without Redis. A Redis that
    came back without the list, or with an older one, gets the newer from whoever saw it: a revoked token must not come back.
    """

    def __init__(self, url: str, prefix: str, *, last_known_good: Path | None = None) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 1))
        self._key = f"{prefix}access"
        self._channel = f"{prefix}access:changed"
        self._kept_at = last_known_good
        self._body = b""
        self._snapshot = AccessSnapshot()
        self._seen_live = False
        self._reachable = True
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the disk copy, then Redis (its being away is logged, not raised), then follow the changes."""
        await self._load()
        try:
            await self._refresh()
        except StoreUnavailable as exc:
            self._lost(exc)
        self._following = asyncio.create_task(self._follow(), name="access tokens")

    async def stop(self) -> None:
        """Stop following; the list stays in force."""
        following, self._following = self._following, None
        await cancelled(following)
        await self._redis.aclose()

    @property
    def snapshot(self) -> AccessSnapshot:
        return self._snapshot

    async def latest(self) -> AccessSnapshot:
        await self._refresh()
        return self._snapshot

    async def change(self, edit: Callable[[AccessList], AccessList]) -> AccessSnapshot:
        await self._refresh()
        for _ in range(_ATTEMPTS):
            present = self._snapshot.access
            body = _encode(msgspec.structs.replace(edit(present), version=present.version + 1))
            found = await self._put(present.version, body)
            if found is None:
                await self._refresh()  # Redis lost everything: what is known here goes back first
                continue
            await self._adopt(found)
            if found == body:
                return self._snapshot
        raise StoreUnavailable(f"access tokens changed {_ATTEMPTS} times while they were to be changed")

    async def _put(self, expected: int, body: bytes) -> bytes | None:
        answer = self._redis.eval(_PUT, 1, self._key, expected, body, self._channel)
        return await _translated(cast("Awaitable[bytes | None]", answer))

    async def _refresh(self) -> None:
        found = await _translated(cast("Awaitable[bytes | None]", self._redis.get(self._key)))
        if not self._reachable:
            log.info("access_store_back", extra={"version": self._snapshot.access.version})
        self._reachable = True
        behind = 0 if found is None else _read(found).version
        if self._body and behind < self._snapshot.access.version and (self._seen_live or found is None):
            log.warning("access_restored", extra={"version": self._snapshot.access.version})
            found = await self._put(behind, self._body)
        if found is not None:
            await self._adopt(found)

    async def _adopt(self, body: bytes) -> None:
        if body != self._body:
            access = _read(body)
            # Notices and answers may overtake one another. What is only on disk yields to any version that is live.
            if self._seen_live and access.version < self._snapshot.access.version:
                return
            self._body, self._snapshot = body, AccessSnapshot.of(access)
            log.info("access_in_force", extra={"version": access.version, "tokens": len(access.tokens)})
            await self._keep(body)
        self._seen_live = True

    async def _load(self) -> None:
        if self._kept_at is None:
            return
        try:
            body = await asyncio.to_thread(self._kept_at.read_bytes)
            self._body, self._snapshot = body, AccessSnapshot.of(_read(body))
        except FileNotFoundError:
            return
        except (OSError, StoreUnavailable) as exc:
            log.warning("access_copy_unreadable", extra={"path": str(self._kept_at), "error": str(exc)})

    async def _keep(self, body: bytes) -> None:
        if self._kept_at is None:
            return
        try:
            # Its session key is a secret: for the owner's eyes.
            await asyncio.to_thread(lambda path: replace_file(path, body, mode=0o600), self._kept_at)
        except OSError as exc:
            log.warning("access_copy_unwritable", extra={"path": str(self._kept_at), "error": str(exc)})

    async def _follow(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as notices:
                    await notices.subscribe(self._channel)
                    while True:
                        await self._refresh()
                        await notices.get_message(ignore_subscribe_messages=True, timeout=_POLL_S)
            except (StoreUnavailable, RedisError, OSError) as exc:
                self._lost(exc)
            except Exception:
                log.exception("access_not_followed")
            await asyncio.sleep(_RECONNECT_S)

    def _lost(self, exc: Exception) -> None:
        if self._reachable:
            log.warning("access_store_lost", extra={"error": str(exc), "version": self._snapshot.access.version})
        self._reachable = False


def _read(body: bytes) -> AccessList:
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as exc:
        raise StoreUnavailable(f"the access list in Redis cannot be read: {exc}") from exc


async def _translated(answer: Awaitable[bytes | None]) -> bytes | None:
    try:
        return await answer
    except (RedisError, OSError) as exc:
        raise StoreUnavailable(f"Redis: {exc}") from exc
