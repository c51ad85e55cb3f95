"""Follows the flags in Redis from a worker: pushed by a channel, asked for where nothing is told, remembered on disk.

Keys, each behind a prefix:

    flags          STRING   the document of all flags, as the gateways write it
    flags:changed  channel  each new document
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from dualrun.in_force import FlagsInForce

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["FlagsFollower", "flags_channel", "flags_key"]

log = logging.getLogger(__name__)

_POLL_S = 0.5
_RECONNECT_S = 0.2
_TIMEOUT_S = 2.0


def flags_key(prefix: str) -> str:
    """Where the document is."""
    return f"{prefix}flags"


def flags_channel(prefix: str) -> str:
    """Where each new one is told."""
    return f"{prefix}flags:changed"


class FlagsFollower:
    """Keeps a `FlagsInForce` up to date from a thread of its own, so that it serves asyncio and Celery workers alike."""

    def __init__(self, in_force: FlagsInForce, url: str, prefix: str, *, last_known_good: Path | None = None) -> None:
        from redis import Redis

        self._in_force = in_force
        self._redis: Redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._key, self._channel = flags_key(prefix), flags_channel(prefix)
        self._path = last_known_good
        self._kept = b""
        self._is_heard = True
        self._stopping = threading.Event()
        # A daemon: a worker that dies without `stop` must not be kept alive by it.
        self._thread = threading.Thread(target=self._run, name="flags", daemon=True)

    def start(self) -> None:
        """Read what was kept on disk, then begin to follow. Does not wait for Redis."""
        self._remember()
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End following, and wait for that at most so long."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._redis.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except Exception as exc:  # noqa: BLE001 - an observer: a worker works by what it knows, whatever goes wrong here
                if self._is_heard and not self._stopping.is_set():
                    log.warning("flags_not_followed", extra={"error": str(exc), "version": self._in_force.version})
                self._is_heard = False
            self._stopping.wait(_RECONNECT_S)

    def _listen(self) -> None:
        with self._redis.pubsub() as notices:  # type: ignore[no-untyped-call]
            notices.subscribe(self._channel)
            self._refresh()
            while not self._stopping.is_set():
                notice = notices.get_message(ignore_subscribe_messages=True, timeout=_POLL_S)
                if notice is None:
                    self._refresh()
                else:
                    self._adopt(notice["data"])

    def _refresh(self) -> None:
        document = cast("bytes | None", self._redis.get(self._key))
        if document is not None:
            self._adopt(document)
        if not self._is_heard:
            log.info("flags_followed_again", extra={"version": self._in_force.version})
        self._is_heard = True

    def _adopt(self, document: bytes) -> None:
        if document == self._kept:
            return
        self._in_force.adopt(document)
        self._kept = document
        if self._path is not None:
            try:
                _replace(self._path, document)
            except OSError as exc:
                log.warning("flags_copy_unwritable", extra={"path": str(self._path), "error": str(exc)})

    def _remember(self) -> None:
        if self._path is None:
            return
        try:
            self._in_force.adopt(self._path.read_bytes(), live=False)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as exc:
            log.warning("flags_copy_unreadable", extra={"path": str(self._path), "error": str(exc)})


def _replace(path: Path, document: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Workers of one machine may share the file: each writes its own before the rename.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(document)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
