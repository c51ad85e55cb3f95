"""Read what the flags were, and what each change changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.errors import NotFound
from gateway.core.flag_change import FlagChange, changes_between
from gateway.core.flags import FlagSnapshot
from gateway.core.ports import FlagStore

__all__ = ["HistoryPage", "ReadFlagHistory", "VersionRead", "version_kept"]

_NO_FLAGS = FlagSnapshot(version=0)


@dataclass(frozen=True, slots=True)
class VersionRead:
    """A version, and what differs from the one it is compared with; None and nothing where that is no longer kept."""

    snapshot: FlagSnapshot
    compared_with: int | None
    changes: tuple[FlagChange, ...]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, newest first; `next_before` asks for older ones, None where there are none."""

    versions: tuple[VersionRead, ...]
    next_before: int | None


class ReadFlagHistory:
    """Reads the versions the flag store keeps."""

    def __init__(self, flags: FlagStore) -> None:
        self._flags = flags

    async def page(self, *, before: int | None, limit: int) -> HistoryPage:
        """The latest versions below `before`. Raises `StoreUnavailable`."""
        # One more than is shown: the oldest shown is compared with it.
        kept = await self._flags.history(before=before, limit=limit + 1)
        shown = tuple(_read(snapshot, _predecessor(snapshot, kept[index + 1 :])) for index, snapshot in enumerate(kept[:limit]))
        return HistoryPage(shown, kept[limit - 1].version if len(kept) > limit else None)

    async def version(self, number: int, *, against: int | None = None) -> VersionRead:
        """One version, told from `against` or the version before it. Raises `NotFound`, `StoreUnavailable`."""
        if against is not None:
            return _read(await version_kept(self._flags, number), await version_kept(self._flags, against))
        kept = await self._flags.history(before=number + 1, limit=2)
        snapshot = _numbered(number, kept)
        return _read(snapshot, _predecessor(snapshot, kept[1:]))


async def version_kept(flags: FlagStore, number: int) -> FlagSnapshot:
    """The version of that number. Raises `NotFound`, `StoreUnavailable`."""
    return _numbered(number, await flags.history(before=number + 1, limit=1))


def _numbered(number: int, kept: Sequence[FlagSnapshot]) -> FlagSnapshot:
    if not kept or kept[0].version != number:
        raise NotFound(f"no flag version {number} is kept")
    return kept[0]


def _predecessor(snapshot: FlagSnapshot, older: Sequence[FlagSnapshot]) -> FlagSnapshot | None:
    return older[0] if older else _NO_FLAGS if snapshot.version == 1 else None


def _read(snapshot: FlagSnapshot, before: FlagSnapshot | None) -> VersionRead:
    if before is None:
        return VersionRead(snapshot, None, ())
    return VersionRead(snapshot, before.version, changes_between(before.flags, snapshot.flags))
