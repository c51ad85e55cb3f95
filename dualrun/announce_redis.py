"""Announcements in Redis, where the gateway's catalogue reads them.

Keys, each behind a prefix:

    catalogue:{side}   HASH     task   -> `ServedTask` as JSON; kept when workers leave. A task belongs to the service that served it first,
                                as long as that has a worker alive
    workers:{side}     HASH     worker -> {"service", "tasks", "expires_at", "ttl_s"} as JSON; `expires_at` in Unix seconds of Redis's clock
    catalogue          channel  a notice after every change of content (a task, or a worker that came or left); repeats give none
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from dualrun.announce import Heartbeat
from dualrun.contracts import Announcement, ServedTask, Side

if TYPE_CHECKING:
    from redis import Redis

__all__ = [
    "Heartbeat",
    "RedisAnnouncer",
    "WorkerEntry",
    "catalogue_channel",
    "catalogue_key",
    "read_task",
    "read_worker",
    "workers_key",
]

log = logging.getLogger(__name__)

_TIMEOUT_S = 2.0
_Field = bytes | bytearray | memoryview | str | int | float
_FORGET_AFTER_S = 3600.0


class WorkerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as the hash of workers keeps it."""

    service: str
    tasks: tuple[str, ...]
    expires_at: float
    ttl_s: float = 30.0
    """It was last heard as long before `expires_at`."""


def catalogue_key(prefix: str, side: Side) -> str:
    """The hash of tasks."""
    return f"{prefix}catalogue:{side}"


def workers_key(prefix: str, side: Side) -> str:
    """The hash of workers."""
    return f"{prefix}workers:{side}"


def catalogue_channel(prefix: str) -> str:
    """The channel of notices."""
    return f"{prefix}catalogue"


class RedisAnnouncer:
    """An `Announcer` over a synchronous client: the caller's thread waits at most a few seconds, so give it one (`Heartbeat`)."""

    def __init__(self, url: str, prefix: str) -> None:
        from redis import Redis

        self._redis: Redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._prefix = prefix
        self._heard = True
        self._told_elsewhere: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def announce(self, announcement: Announcement) -> None:
        """Say (again) what a worker serves."""
        self._quietly(self._announce, announcement)

    def withdraw(self, announcement: Announcement) -> None:
        """The worker leaves. Its tasks stay known; it no longer counts as alive."""
        self._quietly(self._withdraw, announcement)

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def _quietly(self, step: Callable[[Announcement], None], announcement: Announcement) -> None:
        try:
            with self._lock:
                step(announcement)
        except Exception:  # an observer: a worker works whether or not it is heard
            if self._heard:
                log.warning("announcement_unheard", exc_info=True, extra={"worker": announcement.worker})
            self._heard = False
        else:
            if not self._heard:
                log.info("announcement_heard_again", extra={"worker": announcement.worker})
            self._heard = True

    def _announce(self, announcement: Announcement) -> None:
        side = announcement.side
        served = {task.task: msgspec.json.encode(task) for task in announcement.tasks}
        now, known, before = self._look(announcement, list(served))
        entry = WorkerEntry(
            service=announcement.service, tasks=tuple(served), expires_at=now + announcement.ttl_s, ttl_s=announcement.ttl_s
        )
        elsewhere = self._served_elsewhere(announcement, known, now)
        changed: dict[_Field, _Field] = {task: body for task, body in served.items() if known.get(task) != body and task not in elsewhere}
        came = before is None or before.expires_at <= now or before.tasks != entry.tasks
        with self._redis.pipeline(transaction=True) as pipe:
            if changed:
                pipe.hset(catalogue_key(self._prefix, side), mapping=changed)
            pipe.hset(workers_key(self._prefix, side), announcement.worker, msgspec.json.encode(entry))
            if changed or came:
                pipe.publish(catalogue_channel(self._prefix), announcement.worker)
            pipe.execute()
        if came:
            self._forget_the_long_gone(side, now)

    def _look(self, announcement: Announcement, tasks: list[str]) -> tuple[float, Mapping[str, bytes | None], WorkerEntry | None]:
        side = announcement.side
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hget(workers_key(self._prefix, side), announcement.worker)
            if tasks:
                pipe.hmget(catalogue_key(self._prefix, side), tasks)
            answers = pipe.execute()
        seconds, microseconds = cast("tuple[int, int]", answers[0])
        bodies = cast("list[bytes | None]", answers[2]) if tasks else []
        before = cast("bytes | None", answers[1])
        return seconds + microseconds / 1e6, dict(zip(tasks, bodies, strict=True)), None if before is None else read_worker(before)

    def _served_elsewhere(self, announcement: Announcement, known: Mapping[str, bytes | None], now: float) -> frozenset[str]:
        """Tasks that belong to another service, which has a worker alive: theirs are the submissions."""
        holders = {
            task: held.service
            for task, body in known.items()
            if body is not None and (held := read_task(body)) is not None and held.service not in {"", announcement.service}
        }
        if not holders:
            return frozenset()
        entries = cast("dict[bytes, bytes]", self._redis.hgetall(workers_key(self._prefix, announcement.side)))
        alive = [entry for body in entries.values() if (entry := read_worker(body)) is not None and entry.expires_at > now]
        elsewhere = frozenset(
            task for task, service in holders.items() if any(entry.service == service and task in entry.tasks for entry in alive)
        )
        for task in elsewhere - self._told_elsewhere:
            log.error(
                "task_served_elsewhere",
                extra={
                    "task": task,
                    "service": announcement.service,
                    "belongs_to": holders[task],
                    "reason": f"{holders[task]!r} runs its submissions as long as it has a worker: take the handler out of one",
                },
            )
        self._told_elsewhere = elsewhere
        return elsewhere

    def _withdraw(self, announcement: Announcement) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hdel(workers_key(self._prefix, announcement.side), announcement.worker)
            pipe.publish(catalogue_channel(self._prefix), announcement.worker)
            pipe.execute()

    def _forget_the_long_gone(self, side: Side, now: float) -> None:
        # Workers killed without a word leave an entry each; host:pid names would pile up for ever.
        key = workers_key(self._prefix, side)
        entries = cast("dict[bytes, bytes]", self._redis.hgetall(key))
        gone = [
            worker for worker, body in entries.items() if (entry := read_worker(body)) is None or entry.expires_at < now - _FORGET_AFTER_S
        ]
        if gone:
            self._redis.hdel(key, *gone)


def read_task(body: bytes) -> ServedTask | None:
    """The task one field of the catalogue holds; None where it is unreadable, as after a change of format."""
    try:
        return msgspec.json.decode(body, type=ServedTask)
    except msgspec.MsgspecError:
        return None


def read_worker(body: bytes) -> WorkerEntry | None:
    """The worker one field of the hash of workers holds; None where it is unreadable."""
    try:
        return msgspec.json.decode(body, type=WorkerEntry)
    except msgspec.MsgspecError:
        return None
