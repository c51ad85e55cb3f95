"""Recordings in Redis: the hash `{prefix}answers:{submission id}`, which expires after an hour.

Its fields are the attempts, each with a JSON text, and `last`: the number of the attempt after which there was none.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, TypeAlias, cast

import msgspec

from dualrun.effects.answers import KEPT_S, Recording
from dualrun.effects.execution import outside

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisAnswers"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 1.0
_WAITING_MAX = 1_000
_LAST = "last"
_Field: TypeAlias = "str | int | float | bytes | bytearray | memoryview[int]"
_Fields: TypeAlias = dict[_Field, _Field]


class RedisAnswers:
    """Written by a thread of its own, so that an authority waits for nothing: with Redis away recordings are lost, and counted."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._prefix = prefix
        self._client: Redis | None = None
        self._waiting: queue.Queue[tuple[str, _Fields]] = queue.Queue(_WAITING_MAX)
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()
        self.lost = 0
        """Recordings that could not be kept."""
        self._told = 0

    def put(self, submission_id: str, recording: Recording, *, attempt: int, is_last: bool) -> None:
        fields: _Fields = {str(attempt): msgspec.json.encode(recording)}
        if is_last:
            fields[_LAST] = str(attempt)
        with self._lock:
            if self._writer is None or not self._writer.is_alive():
                # Not before the first recording: a prefork parent's thread would not live in its children.
                self._writer = threading.Thread(target=self._write, name="dualrun-answers", daemon=True)
                with outside():
                    self._writer.start()
        try:
            self._waiting.put_nowait((submission_id, fields))
        except queue.Full:
            self.lost += 1

    def get(self, submission_id: str, attempt: int) -> Recording | None:
        from redis import RedisError

        try:
            with outside():
                text = self._read(self._key(submission_id), attempt)
            return None if text is None else msgspec.json.decode(text, type=Recording)
        except (RedisError, msgspec.DecodeError):
            log.warning("answers_not_read", exc_info=True, extra={"submission_id": submission_id})
            return None

    def take_lost(self) -> int:
        with self._lock:
            untold, self._told = self.lost - self._told, self.lost
        return untold

    def _read(self, key: str, attempt: int) -> bytes | None:
        text, last = cast("list[bytes | None]", self._redis().hmget(key, [str(attempt), _LAST]))
        if text is None and last is not None and int(last) < attempt:
            return cast("bytes | None", self._redis().hget(key, last.decode()))
        return text

    def _write(self) -> None:
        from redis import RedisError

        while True:
            submission_id, fields = self._waiting.get()
            try:
                key = self._key(submission_id)
                with self._redis().pipeline(transaction=True) as commands:
                    commands.hset(key, mapping=fields)
                    commands.expire(key, KEPT_S)
                    commands.execute()
            except RedisError:
                self.lost += 1
                log.warning("answers_not_kept", exc_info=True, extra={"submission_id": submission_id, "lost": self.lost})
            finally:
                self._waiting.task_done()

    def _redis(self) -> Redis:
        if self._client is None:
            from redis import Redis

            self._client = Redis.from_url(self._url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        return self._client

    def _key(self, submission_id: str) -> str:
        return f"{self._prefix}answers:{submission_id}"
