"""Audit entries that wait for the ledger: a file each, so that processes of one machine can share a folder."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.core.audit import AuditEntry
from gateway.disk import replace_file

__all__ = ["FileAuditSpool", "MemoryAuditSpool"]

log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f-]{36}")
_decoder = msgspec.json.Decoder(AuditEntry)


class MemoryAuditSpool:
    """`AuditSpool` that ends with its process; what files could not be written for waits in one too."""

    def __init__(self) -> None:
        self._entries: dict[str, AuditEntry] = {}

    async def keep(self, entries: Sequence[AuditEntry]) -> None:
        self._entries |= {entry.id: entry for entry in entries}

    async def waiting(self, limit: int) -> Sequence[AuditEntry]:
        return [self._entries[id_] for id_ in sorted(self._entries)[:limit]]

    async def drop(self, entries: Sequence[AuditEntry]) -> None:
        for entry in entries:
            self._entries.pop(entry.id, None)


class FileAuditSpool:
    """`AuditSpool` in a folder. Where the disk fails, entries wait in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unwritten = MemoryAuditSpool()

    async def keep(self, entries: Sequence[AuditEntry]) -> None:
        for entry in entries:
            try:
                await asyncio.to_thread(
                    lambda path, body: replace_file(path, body, mode=0o600), self._file(entry), msgspec.json.encode(entry)
                )
            except OSError as exc:
                log.warning("audit_spool_unwritable", extra={"path": str(self._folder), "error": str(exc)})
                await self._unwritten.keep([entry])

    async def waiting(self, limit: int) -> Sequence[AuditEntry]:
        found = await asyncio.to_thread(self._read, limit)
        return [*await self._unwritten.waiting(limit), *found][:limit]

    async def drop(self, entries: Sequence[AuditEntry]) -> None:
        await self._unwritten.drop(entries)
        await asyncio.to_thread(self._unlink, entries)

    def _read(self, limit: int) -> list[AuditEntry]:
        entries: list[AuditEntry] = []
        for path in sorted(path for path in self._folder.glob("*.json") if _ID.fullmatch(path.stem))[:limit]:
            try:
                entries.append(_decoder.decode(path.read_bytes()))
            except FileNotFoundError:
                continue  # another process has written it to the ledger
            except (OSError, msgspec.MsgspecError) as exc:
                log.error("audit_spool_unreadable", extra={"path": str(path), "error": str(exc)})
                path.rename(path.with_suffix(".unreadable"))
        return entries

    def _unlink(self, entries: Sequence[AuditEntry]) -> None:
        for entry in entries:
            try:
                self._file(entry).unlink(missing_ok=True)
            except OSError as exc:
                log.warning("audit_spool_unwritable", extra={"path": str(self._folder), "error": str(exc)})

    def _file(self, entry: AuditEntry) -> Path:
        return self._folder / f"{entry.id}.json"
