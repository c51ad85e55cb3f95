"""Flags in Redis: one document, numbered by compare-and-set, pushed to every gateway and polled for.

Layout: `{prefix}flags` the document in force, `{prefix}flags:history` versions newest first, channel `{prefix}flags:changed` carries
each new document. The document in memory answers every question; Redis is asked for news alone.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from dualrun.background import cancelled
from dualrun.broadcast import Broadcast
from dualrun.flags_redis import flags_channel, flags_key
from gateway.core.errors import FlagConflict, FlagsElsewhere, StoreUnavailable
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.override import applied, override_of
from gateway.core.recall import next_version
from gateway.flags.disk import DiskCopy
from gateway.flags.memory import HISTORY_LENGTH
from gateway.flags.overrides import PendingOverrides, decode_overrides
from gateway.flags.wire import StoredFlags, decode_stored, encode_stored

__all__ = ["RedisFlagStore"]

log = logging.getLogger(__name__)

_POLL_S = 1.0
_RECONNECT_S = 0.2
_TIMEOUT_S = 2.0
_ATTEMPTS = 20
_PAGE = 50
_SEEN = 50
_MERGED = 200
_TELL_AGAIN_S = 1.0
_T = TypeVar("_T")

_VERSION = """
local present = redis.call('GET', KEYS[1])
local version = 0
if present then version = cjson.decode(present).version end
"""
_COMPARE_AND_SET = f"""
{_VERSION}
if version ~= tonumber(ARGV[1]) then return {{0, present}} end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('LPUSH', KEYS[2], ARGV[2])
redis.call('LTRIM', KEYS[2], 0, ARGV[4] - 1)
redis.pcall('PUBLISH', ARGV[3], ARGV[2])
return {{1, ARGV[2]}}
"""
_RESTORE = f"""
{_VERSION}
if version >= tonumber(ARGV[1]) then return present end
redis.call('SET', KEYS[1], ARGV[2])
local newest = redis.call('LINDEX', KEYS[2], 0)
if not newest or cjson.decode(newest).version < tonumber(ARGV[1]) then redis.call('LPUSH', KEYS[2], ARGV[2]) end
redis.pcall('PUBLISH', ARGV[3], ARGV[2])
return ARGV[2]
"""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class RedisFlagStore:
    """`FlagStore` and `FileFlagStore` shared by every gateway on one Redis and prefix.

    A change is in force in the process that makes it when `replace` returns, and elsewhere with its notice, at the latest with the
    next poll. While Redis is away the last known good flags stay in force; `last_known_good` keeps them for a start without Redis. An
    override is in force over them, and becomes a version when Redis is back.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        *,
        last_known_good: Path | None = None,
        broadcast: Broadcast | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        # One retry for a pooled connection that died unseen. No more: who changes a flag wants to hear that Redis is away.
        self._redis = Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 1), health_check_interval=30
        )
        self._key = flags_key(prefix)
        self._history_key = f"{prefix}flags:history"
        self._channel = flags_channel(prefix)
        self._disk = DiskCopy(last_known_good) if last_known_good is not None else None
        self._now = now
        self._body = b""
        self._stored = StoredFlags(FlagSnapshot(version=0))
        self._snapshot = self._stored.snapshot
        self._seen: deque[FlagSnapshot] = deque(maxlen=_SEEN)
        aside = None if last_known_good is None else DiskCopy(last_known_good.with_name(f"{last_known_good.stem}-overrides.json"))
        self._overrides = PendingOverrides(aside, None if broadcast is None else broadcast.tell)
        if broadcast is not None:
            broadcast.listen(self._heard)
        self._seen_live = False
        self._reachable = True
        self._notified = True
        self._following: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the disk copy, then Redis (its being away is logged, not raised), then follow the changes."""
        kept = await self._disk.read() if self._disk is not None else None
        if kept is not None:
            self._stored, self._body = kept, encode_stored(kept)
        await self._overrides.remember(self._now())
        self._renew()
        try:
            await self._refresh()
        except StoreUnavailable as exc:
            self._lost(exc)
        self._following = asyncio.create_task(self._follow(), name="flags")
        self._telling = asyncio.create_task(self._tell_again(), name="overrides")

    async def stop(self) -> None:
        """Stop following; the flags stay in force."""
        await cancelled(self._following)
        await cancelled(self._telling)
        await self._overrides.kept()
        if self._disk is not None:
            await self._disk.kept()
        await self._redis.aclose()

    @property
    def snapshot(self) -> FlagSnapshot:
        return self._snapshot

    @property
    def file_hash(self) -> str | None:
        return self._stored.file_hash

    async def probe(self) -> None:
        """Raises `StoreUnavailable` where Redis is out of reach or holds what cannot be read."""
        await self._refresh()

    @property
    def refusal(self) -> FlagsElsewhere | None:
        """None: it may be changed."""
        return None

    async def latest(self) -> FlagSnapshot:
        """What Redis holds now. Raises `StoreUnavailable`."""
        await self._refresh()
        return self.snapshot

    async def replace(
        self,
        flags: Mapping[str, Flag],
        *,
        expected_version: int | None,
        author: str,
        reason: str,
        source: str,
        evidence: FlagEvidence | None = None,
    ) -> FlagSnapshot:
        """Raises `FlagConflict`, after which `snapshot` is the version it names; `StoreUnavailable`."""
        if self._overrides or (expected_version is not None and expected_version != self.snapshot.version):
            await self._refresh()
        for _ in range(_ATTEMPTS):
            present = self._stored
            if expected_version is not None and expected_version != present.snapshot.version:
                raise FlagConflict(expected_version, present.snapshot.version)
            if await self._set(present, self._next(flags, author, reason, source, evidence), present.file_hash):
                return self.snapshot
        raise StoreUnavailable(f"flags changed {_ATTEMPTS} times while they were to be replaced")

    async def replace_from_file(self, flags: Mapping[str, Flag], *, file_hash: str, author: str, reason: str) -> FlagSnapshot:
        """As `FileFlagStore` says. Raises `StoreUnavailable`."""
        await self._refresh()
        for _ in range(_ATTEMPTS):
            present = self._stored
            if present.file_hash == file_hash or await self._set(present, self._next(flags, author, reason, "file"), file_hash):
                return self.snapshot
        raise StoreUnavailable(f"flags changed {_ATTEMPTS} times while a file was to be applied")

    async def hold_from_file(self, flags: Mapping[str, Flag], *, file_hash: str, author: str, reason: str) -> FlagSnapshot:
        """As `FileFlagStore` says."""
        return await self._override(flags, id_=f"file-{file_hash}", author=author, reason=reason, source="file")

    async def override(self, flags: Mapping[str, Flag], *, author: str, reason: str, source: str) -> FlagSnapshot:
        """As `FlagStore` says. Here at once; elsewhere by broadcast, told again until the store has it."""
        return await self._override(flags, id_=uuid.uuid4().hex, author=author, reason=reason, source=source)

    async def _override(self, flags: Mapping[str, Flag], *, id_: str, author: str, reason: str, source: str) -> FlagSnapshot:
        made = override_of(self.snapshot, flags, id_=id_, changed_at=self._now(), author=author, reason=reason, source=source)
        if made.changes and self._overrides.add([made], self._stored.overrides):
            self._renew()
            log.warning("flags_overridden", extra={"version": self.snapshot.version, "author": author, "flags": sorted(made.changes)})
            # Neither a slow disk nor a slow broker may keep the other from having it.
            await asyncio.gather(self._overrides.keep(), self._overrides.tell())
        return self.snapshot

    def seen(self, version: int) -> FlagSnapshot | None:
        """As `FlagStore` says."""
        return next((snapshot for snapshot in self._seen if snapshot.version == version), None)

    async def history(self, *, before: int | None = None, limit: int = 50) -> Sequence[FlagSnapshot]:
        """The latest versions kept (those below `before`), newest first. Raises `StoreUnavailable`."""
        found: list[FlagSnapshot] = []
        for start in range(0, HISTORY_LENGTH, _PAGE):
            page = self._redis.lrange(self._history_key, start, start + _PAGE - 1)
            for body in await _translated(cast("Awaitable[list[bytes]]", page)):
                kept = decode_stored(body).snapshot
                # A change between two pages moves the list on: what was seen on the last one comes again.
                if before is None or kept.version < before:
                    found.append(kept)
                    before = kept.version
                    if len(found) == limit:
                        return found
        return found

    def _next(self, flags: Mapping[str, Flag], author: str, reason: str, source: str, evidence: FlagEvidence | None = None) -> FlagSnapshot:
        return next_version(self.snapshot, flags, changed_at=self._now(), author=author, reason=reason, source=source, evidence=evidence)

    async def _set(self, present: StoredFlags, snapshot: FlagSnapshot, file_hash: str | None, overrides: tuple[str, ...] = ()) -> bool:
        """Whether it took the place of `present`; if not, what is there now is in force."""
        body = encode_stored(StoredFlags(snapshot, file_hash, overrides or present.overrides))
        done, found = await self._run(_COMPARE_AND_SET, present.snapshot.version, body, HISTORY_LENGTH)
        if not done and found is None:
            await self._refresh()  # Redis lost everything: what is known here goes back first
            return False
        # A lost answer makes the client ask twice; the second time finds its own document.
        won = bool(done) or found == body
        self._adopt(body if won else cast("bytes", found))
        return won

    async def _run(self, script: str, version: int, body: bytes, *more: int) -> tuple[int, bytes | None]:
        answer = self._redis.eval(script, 2, self._key, self._history_key, version, body, self._channel, *more)
        done, found = await _translated(cast("Awaitable[tuple[int, bytes | None]]", answer))
        return done, found

    async def _refresh(self) -> None:
        """Take over what Redis holds. Raises `StoreUnavailable`."""
        body = await _translated(cast("Awaitable[bytes | None]", self._redis.get(self._key)))
        if not self._reachable:
            log.info("flag_store_back", extra={"version": self.snapshot.version})
        self._reachable = True
        if body is None or (self._seen_live and decode_stored(body).snapshot.version < self._stored.snapshot.version):
            body = await self._restore()
        if body is not None:
            self._adopt(body)
        await self._merge()

    async def _merge(self) -> None:
        """Make overrides part of the store, a version each. Several gateways may be at it: the id keeps one from being made twice."""
        for _ in range(_ATTEMPTS):
            if not self._overrides:
                return
            override, present = self._overrides.first(), self._stored
            snapshot = FlagSnapshot(
                version=self.snapshot.version + 1,
                flags=applied(present.snapshot.flags, override),
                changed_at=override.changed_at,
                author=override.author,
                reason=override.reason,
                source=override.source,
                recalls=self.snapshot.recalls,
            )
            await self._set(present, snapshot, present.file_hash, (*present.overrides, override.id)[-_MERGED:])

    async def _restore(self) -> bytes | None:
        """A Redis that came back empty, or behind what this process saw it hold, gets the newer flags: a rollback must not be undone."""
        if not self._body:
            return None
        log.warning("flags_restored", extra={"version": self.snapshot.version})
        answer = self._redis.eval(_RESTORE, 2, self._key, self._history_key, self._stored.snapshot.version, self._body, self._channel)
        return await _translated(cast("Awaitable[bytes]", answer))

    def _adopt(self, body: bytes) -> None:
        if body != self._body:
            stored = decode_stored(body)
            # Notices and answers may overtake one another. What is only on disk yields to any version that is live.
            if self._seen_live and stored.snapshot.version < self._stored.snapshot.version:
                return
            self._stored, self._body = stored, body
            dropped = self._overrides.drop(stored.overrides)
            self._renew()
            # Not waited for: the next change is not heard before this one is dealt with.
            if dropped:
                self._overrides.keep_soon()
            log.info("flags_in_force", extra={"version": stored.snapshot.version, "author": stored.snapshot.author})
            if self._disk is not None:
                self._disk.keep_soon(body)
        self._seen_live = True

    def _renew(self) -> None:
        self._snapshot = self._overrides.over(self._stored.snapshot)
        self._seen.appendleft(self._snapshot)

    def _heard(self, notice: bytes) -> None:
        """What another process tells: an override is in force here before anything else happens."""
        try:
            told = decode_overrides(notice)
        except msgspec.MsgspecError:
            return  # about something else
        if self._overrides.add(told, self._stored.overrides):
            self._renew()
            log.warning("flags_overridden", extra={"version": self.snapshot.version, "author": self.snapshot.author})
            self._overrides.keep_soon()

    async def _tell_again(self) -> None:
        """Whoever starts, or was cut off, while the store is away hears of overrides in a moment."""
        while True:
            await asyncio.sleep(_TELL_AGAIN_S)
            if self._overrides:
                await self._overrides.tell()

    async def _follow(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception:
                log.exception("flags_not_followed", extra={"version": self.snapshot.version})
            await asyncio.sleep(_RECONNECT_S)

    async def _listen(self) -> None:
        """Take over each change as it is told, and ask where nothing is; until the link fails."""
        try:
            async with self._redis.pubsub() as notices:
                await notices.subscribe(self._channel)
                await self._refresh()
                self._notified = True
                while True:
                    notice = await notices.get_message(ignore_subscribe_messages=True, timeout=_POLL_S)
                    if notice is None:
                        await self._refresh()
                    else:
                        self._adopt(notice["data"])
        except (StoreUnavailable, RedisError, OSError) as exc:
            await self._poll_instead(exc)

    async def _poll_instead(self, exc: Exception) -> None:
        """Notices may fail while Redis itself answers: then it is asked, every `_RECONNECT_S`."""
        try:
            await self._refresh()
        except StoreUnavailable as away:
            return self._lost(away)
        if self._notified:
            log.warning("flags_polled", extra={"error": str(exc), "version": self.snapshot.version})
        self._notified = False
        return None

    def _lost(self, exc: Exception) -> None:
        if self._reachable:
            log.warning("flag_store_lost", extra={"error": str(exc), "version": self.snapshot.version})
        self._reachable = False


async def _translated(answer: Awaitable[_T]) -> _T:
    try:
        return await answer
    except (RedisError, OSError) as exc:
        raise StoreUnavailable(f"Redis: {exc}") from exc
