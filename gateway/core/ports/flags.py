"""Where flags live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.core.errors import FlagsElsewhere
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot

__all__ = ["FlagStore"]


class FlagStore(Protocol):
    """Where flags live; every gateway sees the same versions."""

    @property
    def snapshot(self) -> FlagSnapshot:
        """The flags in force, from memory; the last known good ones while the store is away."""
        ...

    @property
    def refusal(self) -> FlagsElsewhere | None:
        """Why nobody changes flags here; None where they may."""
        ...

    async def latest(self) -> FlagSnapshot:
        """The flags in force, asked of the store instead of memory, and from now on in memory. Raises `StoreUnavailable`."""
        ...

    async def replace(
        self,
        flags: Mapping[str, Flag],
        *,
        expected_version: int | None,
        author: str,
        reason: str,
        source: str,
        evidence: FlagEvidence | None = None,
    ) -> FlagSnapshot:
        """Put a new version in force, everywhere; `evidence` is kept with it.

        Raises `FlagConflict` when `expected_version` is given and is not the present one, `StoreUnavailable`.
        """
        ...

    async def override(self, flags: Mapping[str, Flag], *, author: str, reason: str, source: str) -> FlagSnapshot:
        """Put flags in force, everywhere, although the store is away: the last resort of a rollback. It becomes a version of the store.

        What it changes wins over versions of the store it did not know of. Never raises `StoreUnavailable`.
        """
        ...

    def seen(self, version: int) -> FlagSnapshot | None:
        """A version that was in force in this process lately."""
        ...

    async def history(self, *, before: int | None = None, limit: int = 50) -> Sequence[FlagSnapshot]:
        """The latest versions kept (those below `before`), newest first. Raises `StoreUnavailable`."""
        ...
