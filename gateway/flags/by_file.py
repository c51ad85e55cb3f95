"""Flags that only a file may change (GitOps): what everybody else gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.core.errors import FlagsByFile
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.ports import FlagStore

__all__ = ["FlagsChangedByFile"]


class FlagsChangedByFile:
    """`FlagStore` that reads like the store behind it, and refuses every change."""

    def __init__(self, store: FlagStore, file: Path | None) -> None:
        self._store = store
        self._file = file

    @property
    def snapshot(self) -> FlagSnapshot:
        return self._store.snapshot

    async def latest(self) -> FlagSnapshot:
        """Raises `StoreUnavailable`."""
        return await self._store.latest()

    async def replace(
        self, flags: Mapping[str, Flag], *, expected_version: int | None, author: str, reason: str, source: str
    ) -> FlagSnapshot:
        """Raises `FlagsByFile`."""
        raise FlagsByFile(str(self._file))

    async def history(self, *, before: int | None = None, limit: int = 50) -> Sequence[FlagSnapshot]:
        """Raises `StoreUnavailable`."""
        return await self._store.history(before=before, limit=limit)
