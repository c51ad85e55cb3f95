"""Flags that are changed elsewhere, in a file (GitOps) or at an OpenFeature provider: what everybody else gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.core.errors import FlagsElsewhere
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.ports import FlagStore

__all__ = ["FlagsChangedElsewhere"]


class FlagsChangedElsewhere:
    """`FlagStore` that reads like the store behind it, and refuses every change with what `refusal` gives."""

    def __init__(self, store: FlagStore, refusal: Callable[[], FlagsElsewhere]) -> None:
        self._store = store
        self._refusal = refusal

    @property
    def snapshot(self) -> FlagSnapshot:
        return self._store.snapshot

    @property
    def refusal(self) -> FlagsElsewhere | None:
        return self._refusal()

    async def latest(self) -> FlagSnapshot:
        """Raises `StoreUnavailable`."""
        return await self._store.latest()

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
        """Raises `FlagsElsewhere`."""
        raise self._refusal()

    async def override(self, flags: Mapping[str, Flag], *, author: str, reason: str, source: str) -> FlagSnapshot:
        """Raises `FlagsElsewhere`."""
        raise self._refusal()

    def seen(self, version: int) -> FlagSnapshot | None:
        return self._store.seen(version)

    async def history(self, *, before: int | None = None, limit: int = 50) -> Sequence[FlagSnapshot]:
        """Raises `StoreUnavailable`."""
        return await self._store.history(before=before, limit=limit)
