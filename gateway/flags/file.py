"""A flags file somebody edits, or a repository delivers: applied when its content changes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from watchfiles import awatch

from gateway.core.errors import FlagConflict, FlagsFileRejected, StoreUnavailable
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.override import steps_back
from gateway.flags.document import parse_flags
from gateway.flags.port import FileFlagStore
from gateway.flags.unasked import UnaskedSteps

__all__ = ["FlagsFile"]

log = logging.getLogger(__name__)

_POLL_S = 1.0
_AUTHOR = "flags file"


class FlagsFile:
    """Applies a file to a store: its flags are then all the flags there are.

    A content is applied once. The store remembers which, so that neither a restart nor another gateway with the same file undoes
    what was changed at run time since. A file that cannot be read or holds a mistake changes nothing; `last_error` says why.
    With `alone`, nobody else may change flags: then the file is also right about flags changed before that was so, and an edit is in
    force here even while the store is away, for every gateway has the file.
    """

    def __init__(self, path: Path, store: FileFlagStore, *, alone: bool = False, unasked: UnaskedSteps | None = None) -> None:
        self._path = path
        self._store = store
        self._alone = alone
        self._unasked = unasked
        self._seen: str | None = None
        self._stop = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self.last_error: FlagsFileRejected | None = None

    async def start(self) -> None:
        """Apply the file as it is now, then whenever it changes."""
        self._stop.clear()
        await self.apply()
        self._watching = asyncio.create_task(self._watch(), name="flags-file")

    async def stop(self) -> None:
        """Stop watching; the flags stay in force."""
        self._stop.set()
        if self._watching is not None:
            await self._watching
            self._watching = None
        if self._unasked is not None:
            await self._unasked.stop()

    async def probe(self) -> str | None:
        """What is wrong with the content looked at last; None where it is in force."""
        return None if self.last_error is None else f"not applied: {self.last_error}"

    async def apply(self) -> None:
        """Apply the content unless it is the one looked at last. A store out of reach is logged, and tried again with the next poll."""
        try:
            content = await asyncio.to_thread(self._path.read_bytes)
        except OSError as exc:
            self._refuse(FlagsFileRejected(str(self._path), 0, 0, f"cannot be read: {exc.strerror}"), seen=None)
            return
        seen = hashlib.sha256(content).hexdigest()
        if seen == self._seen:
            return
        try:
            flags = parse_flags(_decoded(content, str(self._path)), str(self._path))
        except FlagsFileRejected as exc:
            self._refuse(exc, seen)
            return
        try:
            snapshot = await self._put(flags, seen)
        except FlagConflict:
            return  # another gateway with the file was first: the next poll sees its flags
        except StoreUnavailable as exc:
            log.warning("flags_file_waits", extra={"path": str(self._path), "error": str(exc)})
            # Others may change flags too: what would take a key off legacy waits for the store, where it can be seen what they did.
            held = flags if self._alone else steps_back(self._store.snapshot, flags)
            await self._store.hold_from_file(held, file_hash=seen, author=_AUTHOR, reason=str(self._path))
            return
        self._seen, self.last_error = seen, None
        log.info("flags_file_in_force", extra={"path": str(self._path), "version": snapshot.version, "file_hash": seen[:12]})

    async def _put(self, flags: Mapping[str, Flag], seen: str) -> FlagSnapshot:
        reason, before = str(self._path), self._store.snapshot
        snapshot = await self._store.replace_from_file(flags, file_hash=seen, author=_AUTHOR, reason=reason)
        if self._alone and snapshot.flags != flags:
            snapshot = await self._store.replace(flags, expected_version=snapshot.version, author=_AUTHOR, reason=reason, source="file")
        if self._unasked is not None and snapshot.version > before.version:
            self._unasked.note(before, snapshot.flags)
        return snapshot

    def _refuse(self, error: FlagsFileRejected, seen: str | None) -> None:
        if self.last_error is None or str(self.last_error) != str(error):
            log.error("flags_file_refused", extra={"path": error.file, "line": error.line, "column": error.column, "reason": error.reason})
        self._seen, self.last_error = seen, error

    async def _watch(self) -> None:
        async for _ in self._ticks():
            try:
                await self.apply()
            except Exception:
                log.exception("flags_file_not_applied", extra={"path": str(self._path)})

    async def _ticks(self) -> AsyncIterator[None]:
        """A tick at every change in the file's directory (renames and symlink swaps count), and one a second where none are told."""
        while not self._stop.is_set():
            try:
                async for _ in awatch(
                    self._path.parent,
                    watch_filter=None,
                    recursive=False,
                    stop_event=self._stop,
                    step=20,
                    debounce=100,
                    rust_timeout=int(_POLL_S * 1_000),
                    yield_on_timeout=True,
                ):
                    yield
            except OSError as exc:
                log.warning("flags_file_polled", extra={"path": str(self._path), "error": str(exc)})
                await self._pause()
                yield

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), _POLL_S)
        except TimeoutError:
            return


def _decoded(content: bytes, file: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise FlagsFileRejected(file, 1, 1, f"is not UTF-8: {exc.reason} at byte {exc.start}") from exc
