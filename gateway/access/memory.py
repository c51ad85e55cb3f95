"""The access list of one process."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.core.access import AccessList, AccessSnapshot

__all__ = ["MemoryAccessStore"]


class MemoryAccessStore:
    """`AccessStore` for the embedded gateway."""

    def __init__(self) -> None:
        self._snapshot = AccessSnapshot()

    @property
    def snapshot(self) -> AccessSnapshot:
        return self._snapshot

    async def latest(self) -> AccessSnapshot:
        return self._snapshot

    async def change(self, edit: Callable[[AccessList], AccessList]) -> AccessSnapshot:
        present = self._snapshot.access
        self._snapshot = AccessSnapshot.of(msgspec.structs.replace(edit(present), version=present.version + 1))
        return self._snapshot
