"""The last known good flags on disk, for a start while Redis is away."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.disk import replace_file
from gateway.flags.wire import StoredFlags, decode_stored

__all__ = ["DiskCopy"]

log = logging.getLogger(__name__)


class DiskCopy:
    """One file, replaced whole. A disk that fails is logged, one that is slow is not waited for: neither keeps a flag from changing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: bytes | None = None
        self._writing: asyncio.Task[None] | None = None

    async def read(self) -> StoredFlags | None:
        """What was kept last; None where there is nothing that can be read."""
        body = await self.read_bytes()
        try:
            return None if body is None else decode_stored(body)
        except StoreUnavailable as exc:
            log.warning("flags_copy_unreadable", extra={"path": str(self._path), "error": str(exc)})
            return None

    async def read_bytes(self) -> bytes | None:
        """As `read`, uninterpreted."""
        try:
            return await asyncio.to_thread(self._path.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as exc:
            log.warning("flags_copy_unreadable", extra={"path": str(self._path), "error": str(exc)})
            return None

    def keep_soon(self, body: bytes) -> None:
        """Begin to write it; what comes before the disk is ready for it takes its place."""
        self._newest = body
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_newest(), name=f"keep {self._path.name}")

    async def kept(self) -> None:
        """Return once all that was to be kept soon is written."""
        if self._writing is not None:
            await asyncio.shield(self._writing)

    async def keep(self, body: bytes) -> None:
        """Return once it, or what came after it, is written."""
        self.keep_soon(body)
        await self.kept()

    async def _write_newest(self) -> None:
        while self._newest is not None:
            body, self._newest = self._newest, None
            try:
                await asyncio.to_thread(replace_file, self._path, body)
            except OSError as exc:
                log.warning("flags_copy_unwritable", extra={"path": str(self._path), "error": str(exc)})
