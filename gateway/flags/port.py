"""What a flags file asks of a store, beyond the port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.ports import FlagStore

__all__ = ["FileFlagStore"]


class FileFlagStore(FlagStore, Protocol):
    """A store that remembers which file content was applied last, so that a restart does not undo what was changed since."""

    @property
    def file_hash(self) -> str | None:
        """Hash of the file content applied last, as far as this process has heard."""
        ...

    async def replace_from_file(self, flags: Mapping[str, Flag], *, file_hash: str, author: str, reason: str) -> FlagSnapshot:
        """Put a file's flags in force, unless that content is already the last applied one: then nothing changes.

        Decided where the versions are numbered, so that of several gateways with one file exactly one applies it.
        Raises `StoreUnavailable`.
        """
        ...

    async def hold_from_file(self, flags: Mapping[str, Flag], *, file_hash: str, author: str, reason: str) -> FlagSnapshot:
        """Put a file's flags in force everywhere while the store is away; it gets them when it is back. Twice is once."""
        ...
