"""The last known good flags on disk, for a start while Redis is away."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.flags.wire import StoredFlags, decode_stored

__all__ = ["DiskCopy"]

log = logging.getLogger(__name__)


class DiskCopy:
    """One file, replaced whole. A disk that fails is logged: it must not keep a flag from changing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()

    def read(self) -> StoredFlags | None:
        """What was kept last; None where there is nothing that can be read."""
        try:
            return decode_stored(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, StoreUnavailable) as exc:
            log.warning("flags_copy_unreadable", extra={"path": str(self._path), "error": str(exc)})
            return None

    async def keep(self, body: bytes) -> None:
        async with self._lock:
            try:
                await asyncio.to_thread(_replace, self._path, body)
            except OSError as exc:
                log.warning("flags_copy_unwritable", extra={"path": str(self._path), "error": str(exc)})


def _replace(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Gateways of one machine may share the file: each writes its own before the rename.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with fresh.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
