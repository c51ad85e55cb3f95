"""Flag changes that are in force although the store of the flags is away. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from dualrun.contracts import Side
from dualrun.contracts.recall import FlagsDigest, Override, effective_version, recalled_before
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.recall import moved_names

__all__ = ["FlagOverride", "applied", "in_turn", "override_of", "steps_back", "with_overrides"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagOverride:
    """One change, as it was made. It wins over every version of the store it did not know of, until it is part of one."""

    id: str
    version: int
    """The version it made where it was made."""
    changed_at: datetime
    author: str
    reason: str
    source: str
    changes: Mapping[str, Flag | None]
    """By name; None takes the flag away."""
    moved: Mapping[Side, tuple[str, ...]]
    """Names and globs whose messages it recalls."""

    @property
    def digest(self) -> Override:
        """What workers are told of it."""
        return Override(id=self.id, version=self.version, recalls=dict(self.moved))


def override_of(
    present: FlagSnapshot, flags: Mapping[str, Flag], *, id_: str, changed_at: datetime, author: str, reason: str, source: str
) -> FlagOverride:
    """The change from the present flags to these."""
    names = sorted(name for name in present.flags.keys() | flags.keys() if present.flags.get(name) != flags.get(name))
    return FlagOverride(
        id=id_,
        version=present.version + 1,
        changed_at=changed_at,
        author=author,
        reason=reason,
        source=source,
        changes={name: flags.get(name) for name in names},
        moved={side: tuple(sorted(moved)) for side, moved in moved_names(present, flags).items()},
    )


def in_turn(overrides: Collection[FlagOverride]) -> list[FlagOverride]:
    """In the order everybody applies them."""
    return sorted(overrides, key=lambda override: (override.version, override.changed_at, override.id))


def applied(flags: Mapping[str, Flag], override: FlagOverride) -> dict[str, Flag]:
    """The flags with the change made."""
    changed = {**flags, **override.changes}
    return {name: flag for name, flag in changed.items() if flag is not None}


def with_overrides(stored: FlagSnapshot, overrides: Collection[FlagOverride]) -> FlagSnapshot:
    """What is in force where this version of the store and these overrides are known."""
    if not overrides:
        return stored
    flags: Mapping[str, Flag] = stored.flags
    for override in in_turn(overrides):
        flags = applied(flags, override)
    digest, told = FlagsDigest(version=stored.version, recalls=stored.recalls), [override.digest for override in overrides]
    return FlagSnapshot(
        version=effective_version(stored.version, told),
        flags=flags,
        changed_at=override.changed_at,
        author=override.author,
        reason=override.reason,
        source=override.source,
        recalls={side: dict(recalled_before(digest, told, side)) for side in Side},
    )


def steps_back(present: FlagSnapshot, flags: Mapping[str, Flag]) -> Mapping[str, Flag]:
    """The present flags with those changes of `flags` that take no key off the legacy side."""
    wanted = dict(present.flags)
    for name in sorted(present.flags.keys() | flags.keys()):
        trial = {other: flag for other, flag in {**wanted, name: flags.get(name)}.items() if flag is not None}
        if not moved_names(FlagSnapshot(version=0, flags=wanted), trial)[Side.LEGACY]:
            wanted = trial
    return wanted
