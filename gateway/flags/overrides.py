"""Overrides that are not part of the store yet: kept on disk, told to every process until they are."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime, timedelta

import msgspec

from dualrun.contracts import Side
from gateway.core.flags import FlagSnapshot
from gateway.core.override import FlagOverride, in_turn, with_overrides
from gateway.flags.disk import DiskCopy
from gateway.flags.wire import StoredFlag, flag_from, stored_flag

__all__ = ["PendingOverrides", "decode_overrides"]

log = logging.getLogger(__name__)

_KEPT_FOR = timedelta(days=1)
"""An older one found on disk was made part of the store by another gateway long ago, as far as anybody can tell."""


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What workers read of it is `dualrun.contracts.recall.Override`."""

    id: str
    version: int
    changed_at: datetime
    author: str
    reason: str
    source: str
    flags: dict[str, StoredFlag | None]
    recalls: dict[Side, tuple[str, ...]]


class _Notice(msgspec.Struct, frozen=True, kw_only=True, tag_field="notice", tag="overrides"):
    overrides: tuple[_Stored, ...]


_decoder = msgspec.json.Decoder(_Notice)
_encode = msgspec.json.Encoder().encode


def decode_overrides(notice: bytes) -> list[FlagOverride]:
    """Those a notice tells of. Raises `msgspec.MsgspecError` where it tells of something else."""
    return [_override(stored) for stored in _decoder.decode(notice).overrides]


class PendingOverrides:
    """Those this process knows of. `tell` gives a notice to every process."""

    def __init__(self, disk: DiskCopy | None, tell: Callable[[bytes], Awaitable[bool]] | None) -> None:
        self._disk = disk
        self._tell = tell
        self._pending: dict[str, FlagOverride] = {}

    def __bool__(self) -> bool:
        return bool(self._pending)

    def first(self) -> FlagOverride:
        """The one that comes before all others."""
        return in_turn(self._pending.values())[0]

    def over(self, stored: FlagSnapshot) -> FlagSnapshot:
        """What is in force over a version of the store."""
        return with_overrides(stored, self._pending.values())

    def add(self, overrides: Iterable[FlagOverride], merged: Collection[str]) -> bool:
        """Take in those that are new and not part of the store; whether there were any."""
        new = {override.id: override for override in overrides if override.id not in self._pending and override.id not in merged}
        self._pending |= new
        return bool(new)

    def drop(self, merged: Collection[str]) -> bool:
        """They are part of the store; whether any was pending."""
        dropped = [self._pending.pop(id_) for id_ in merged if id_ in self._pending]
        return bool(dropped)

    async def remember(self, now: datetime) -> None:
        """Take in what was kept on disk."""
        body = None if self._disk is None else await self._disk.read_bytes()
        if not body:
            return None
        try:
            kept = decode_overrides(body)
        except msgspec.MsgspecError as exc:
            return log.warning("overrides_unreadable", extra={"error": str(exc)})
        for old in (override for override in kept if override.changed_at < now - _KEPT_FOR):
            log.error("override_too_old", extra={"override": old.id, "author": old.author, "changed_at": old.changed_at.isoformat()})
        self.add((override for override in kept if override.changed_at >= now - _KEPT_FOR), ())
        return None

    async def keep(self) -> None:
        """Have them on disk."""
        if self._disk is not None:
            await self._disk.keep(self._notice())

    def keep_soon(self) -> None:
        """Begin to write them."""
        if self._disk is not None:
            self._disk.keep_soon(self._notice())

    async def kept(self) -> None:
        """Return once all that was to be kept soon is on disk."""
        if self._disk is not None:
            await self._disk.kept()

    async def tell(self) -> bool:
        """Whether the message broker has them, for everybody."""
        return self._tell is not None and await self._tell(self._notice())

    def _notice(self) -> bytes:
        return _encode(_Notice(overrides=tuple(_stored(override) for override in in_turn(self._pending.values()))))


def _stored(override: FlagOverride) -> _Stored:
    return _Stored(
        id=override.id,
        version=override.version,
        changed_at=override.changed_at,
        author=override.author,
        reason=override.reason,
        source=override.source,
        flags={name: None if flag is None else stored_flag(flag) for name, flag in override.changes.items()},
        recalls=dict(override.moved),
    )


def _override(stored: _Stored) -> FlagOverride:
    return FlagOverride(
        id=stored.id,
        version=stored.version,
        changed_at=stored.changed_at,
        author=stored.author,
        reason=stored.reason,
        source=stored.source,
        changes={name: None if flag is None else flag_from(name, flag) for name, flag in stored.flags.items()},
        moved=stored.recalls,
    )
