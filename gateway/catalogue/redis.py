"""The catalogue as workers keep it in Redis (layout: `dualrun.announce_redis`), answered from memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from dualrun.announce_redis import catalogue_channel, catalogue_key, read_task, read_worker, workers_key
from dualrun.background import cancelled
from dualrun.contracts import ServedTask, Side
from gateway.catalogue.snapshot import CatalogueSnapshot, LiveWorker
from gateway.core.known_worker import KnownWorker
from gateway.disk import replace_file

__all__ = ["RedisCatalogue"]

log = logging.getLogger(__name__)

_REFRESH_S = 2.0
_RECONNECT_S = 0.5
_TIMEOUT_S = 2.0
_KeptTasks = dict[Side, list[ServedTask]]


class RedisCatalogue:
    """Read again at every notice and every two seconds; while Redis is away the last known good content answers.

    With `last_known_good`, the tasks are also kept in that file, for a start without Redis. It says nothing about live workers.
    """

    def __init__(self, url: str, prefix: str, *, last_known_good: Path | None = None) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._prefix = prefix
        self._kept_at = last_known_good
        self._kept: _KeptTasks = {}
        self._snapshot = CatalogueSnapshot()
        self._following: asyncio.Task[None] | None = None
        self._reachable = True
        self._read_at = 0.0

    async def start(self) -> None:
        """Read once (Redis being away is logged, not raised), then follow the changes."""
        self._load()
        try:
            await self._refresh()
        except (RedisError, OSError) as exc:
            self._lost(exc)
        self._following = asyncio.create_task(self._follow(), name="catalogue")

    async def stop(self) -> None:
        """Stop following; the content stays."""
        following, self._following = self._following, None
        await cancelled(following)
        await self._redis.aclose()

    def served_by(self, task: str) -> Mapping[Side, ServedTask]:
        """Per side that has ever announced the task, how it serves it."""
        return self._snapshot.served_by(task)

    def names(self) -> Collection[str]:
        """Every task ever announced."""
        return self._snapshot.tasks.keys()

    def live_workers(self, side: Side, task: str) -> int:
        """Workers alive now that serve the task."""
        return self._snapshot.live_workers(side, task, time.monotonic())

    def workers_of(self, side: Side, tasks: Collection[str]) -> int:
        """Workers alive that serve any of the tasks; while Redis is away, as it was when it last answered."""
        return self._snapshot.workers_of(side, tasks, time.monotonic() if self._reachable else self._read_at)

    def workers(self) -> Sequence[KnownWorker]:
        """Every worker alive, and those that fell silent lately."""
        return self._snapshot.known_workers(time.monotonic())

    @property
    def current(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._reachable

    async def _follow(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as notices:
                    await notices.subscribe(catalogue_channel(self._prefix))
                    while True:
                        await self._refresh()
                        await notices.get_message(ignore_subscribe_messages=True, timeout=_REFRESH_S)
            except (RedisError, OSError) as exc:
                self._lost(exc)
            await asyncio.sleep(_RECONNECT_S)

    def _lost(self, exc: Exception) -> None:
        if self._reachable:
            log.warning("catalogue_store_lost", extra={"error": str(exc), "tasks_known": len(self._snapshot.tasks)})
        self._reachable = False

    async def _refresh(self) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            for side in Side:
                pipe.hgetall(catalogue_key(self._prefix, side))
                pipe.hgetall(workers_key(self._prefix, side))
            answers = await pipe.execute()
        seconds, microseconds = cast("tuple[int, int]", answers[0])
        # Redis's clock made `expires_at`; this process's monotonic clock will ask. No other machine's clock matters.
        shift = time.monotonic() - (seconds + microseconds / 1e6)
        hashes = cast("list[dict[bytes, bytes]]", answers[1:])
        tasks = {side: _tasks_in(hashes[2 * n]) for n, side in enumerate(Side)}
        workers = [worker for n, side in enumerate(Side) for worker in _workers_in(side, hashes[2 * n + 1], shift)]
        self._snapshot = CatalogueSnapshot.of(tasks, workers)
        self._read_at = time.monotonic()
        if not self._reachable:
            log.info("catalogue_store_back", extra={"tasks_known": len(self._snapshot.tasks)})
        self._reachable = True
        await self._keep(tasks)

    def _load(self) -> None:
        if self._kept_at is None or not self._kept_at.exists():
            return
        try:
            self._kept = msgspec.json.decode(self._kept_at.read_bytes(), type=_KeptTasks)
        except (OSError, msgspec.MsgspecError) as exc:
            log.warning("catalogue_file_unreadable", extra={"path": str(self._kept_at), "error": str(exc)})
            return
        self._snapshot = CatalogueSnapshot.of(self._kept, ())

    async def _keep(self, tasks: _KeptTasks) -> None:
        if self._kept_at is None or tasks == self._kept:
            return
        try:
            await asyncio.to_thread(replace_file, self._kept_at, msgspec.json.encode(tasks))
        except OSError as exc:
            log.warning("catalogue_file_unwritable", extra={"path": str(self._kept_at), "error": str(exc)})
        self._kept = tasks


def _tasks_in(fields: Mapping[bytes, bytes]) -> list[ServedTask]:
    return sorted((task for body in fields.values() if (task := read_task(body)) is not None), key=lambda task: task.task)


def _workers_in(side: Side, fields: Mapping[bytes, bytes], shift: float) -> list[LiveWorker]:
    entries = ((name.decode(errors="replace"), read_worker(body)) for name, body in fields.items())
    return [
        LiveWorker(side, entry.tasks, entry.expires_at + shift, name, entry.service, entry.ttl_s)
        for name, entry in entries
        if entry is not None
    ]
