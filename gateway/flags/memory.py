"""Flags in the memory of one process: the embedded mode, and tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice

from gateway.core.errors import FlagConflict, FlagsElsewhere
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.recall import next_version

__all__ = ["HISTORY_LENGTH", "MemoryFlagStore"]

HISTORY_LENGTH = 500
"""Versions a store keeps."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryFlagStore:
    """`FlagStore` and `FileFlagStore` for one process. Versions go on from `last_version`, where a ledger outlives the process."""

    def __init__(self, flags: Mapping[str, Flag] | None = None, *, last_version: int = 0, now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now
        self._snapshot = FlagSnapshot(version=last_version, flags=dict(flags or {}))
        self._history: deque[FlagSnapshot] = deque(maxlen=HISTORY_LENGTH)
        self._file_hash: str | None = None
        self._listeners: list[Callable[[FlagSnapshot], None]] = []

    def listen(self, changed: Callable[[FlagSnapshot], None]) -> None:
        """Have the present version told, and each new one."""
        self._listeners.append(changed)
        changed(self._snapshot)

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to let go."""

    @property
    def snapshot(self) -> FlagSnapshot:
        return self._snapshot

    @property
    def file_hash(self) -> str | None:
        return self._file_hash

    @property
    def refusal(self) -> FlagsElsewhere | None:
        """None: it may be changed."""
        return None

    async def latest(self) -> FlagSnapshot:
        """As `snapshot`."""
        return self._snapshot

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
        """Raises `FlagConflict`."""
        if expected_version is not None and expected_version != self._snapshot.version:
            raise FlagConflict(expected_version, self._snapshot.version)
        self._snapshot = next_version(
            self._snapshot, flags, changed_at=self._now(), author=author, reason=reason, source=source, evidence=evidence
        )
        self._history.appendleft(self._snapshot)
        for changed in self._listeners:
            changed(self._snapshot)
        return self._snapshot

    async def override(self, flags: Mapping[str, Flag], *, author: str, reason: str, source: str) -> FlagSnapshot:
        """As `replace`: memory is never away."""
        return await self.replace(flags, expected_version=None, author=author, reason=reason, source=source)

    def seen(self, version: int) -> FlagSnapshot | None:
        """As `FlagStore` says."""
        return next((snapshot for snapshot in self._history if snapshot.version == version), None)

    async def replace_from_file(self, flags: Mapping[str, Flag], *, file_hash: str, author: str, reason: str) -> FlagSnapshot:
        if file_hash == self._file_hash:
            return self._snapshot
        self._file_hash = file_hash
        return await self.replace(flags, expected_version=None, author=author, reason=reason, source="file")

    async def hold_from_file(self, flags: Mapping[str, Flag], *, file_hash: str, author: str, reason: str) -> FlagSnapshot:
        """As `replace_from_file`: memory is never away."""
        return await self.replace_from_file(flags, file_hash=file_hash, author=author, reason=reason)

    async def history(self, *, before: int | None = None, limit: int = 50) -> Sequence[FlagSnapshot]:
        """As `FlagStore` says."""
        return list(islice((kept for kept in self._history if before is None or kept.version < before), limit))
