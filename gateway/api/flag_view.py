"""Flags as HTTP bodies hold them, and the way from and to the core's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from dualrun.contracts import Mode, Safety
from gateway.core.errors import FieldError, FlagRejected
from gateway.core.flag_change import FlagChange
from gateway.core.flags import HASH_VERSION, Flag, FlagSnapshot, percent_of, share_of

__all__ = [
    "ChangeMade",
    "FlagBody",
    "FlagMembers",
    "FlagView",
    "FlagsBody",
    "FlagsChangeView",
    "FlagsView",
    "HistoryView",
    "VersionEntry",
    "VersionView",
    "flag_of",
    "flags_of",
    "flags_view_of",
    "view_of",
]

_Percent = Annotated[float, msgspec.Meta(ge=0, le=100, description="0 to 100 in steps of 0.001.")]
_TaskOrGlob = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:*?\[\]\-]{1,200}$", description="Task name, or a glob of them.")]
_Author = Annotated[str, msgspec.Meta(max_length=200)]
_Reason = Annotated[str, msgspec.Meta(max_length=1000)]
_Source = Annotated[Literal["api", "cli", "console"], msgspec.Meta(description="What the change was made through.")]


class ChangeMade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who changes something, why, and through what: kept with the version."""

    author: _Author = "api"
    reason: _Reason = ""
    source: _Source = "api"


class FlagMembers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole flag; a member left out has its default."""

    mode: Mode
    events_percent: _Percent = 0
    shadow_percent: _Percent = 0
    safety: Safety = Safety.UNSAFE
    salt: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    hash_version: int = HASH_VERSION


class FlagBody(FlagMembers, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole flag; a member left out has its default."""

    # As `ChangeMade`: a struct cannot have two bases with members.
    author: _Author = "api"
    reason: _Reason = ""
    source: _Source = "api"


class FlagsBody(ChangeMade, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All the flags there shall be."""

    flags: dict[_TaskOrGlob, FlagMembers]


class FlagView(msgspec.Struct, frozen=True, kw_only=True):
    """A flag in force."""

    task: str
    mode: Mode
    events_percent: float
    shadow_percent: float
    safety: Safety
    salt: str
    hash_version: int
    version: int
    """Of all flags together."""


class FlagsView(msgspec.Struct, frozen=True, kw_only=True):
    """All flags in force."""

    version: int
    changed_at: datetime
    author: str
    reason: str
    source: str
    flags: Mapping[str, FlagView]


class FlagsChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """The version in force, and what is different from before; with `dry_run`, what would be."""

    version: int
    changes: tuple[FlagChange, ...]


class VersionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One version: who, when, why, and what was changed."""

    version: int
    changed_at: datetime
    author: str
    reason: str
    source: str
    compared_with: int | None
    """The version `changes` are told from: the one before. None where that is no longer kept; there are no `changes` then."""
    changes: tuple[FlagChange, ...]


class HistoryView(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, newest first."""

    versions: tuple[VersionEntry, ...]
    next_cursor: int | None
    """Ask for older ones with this `cursor`; None where there are none."""


class VersionView(VersionEntry, frozen=True, kw_only=True):
    """One version with all its flags."""

    flags: Mapping[str, FlagView]


def flag_of(task: str, members: FlagMembers, at: str = "") -> Flag:
    """The flag a body asks for; `at` is where in the body it stands. Raises `FlagRejected` for a percentage finer than 0.001."""
    return Flag(
        task=task,
        mode=members.mode,
        events_share=_share(f"{at}/events_percent", members.events_percent),
        shadow_share=_share(f"{at}/shadow_percent", members.shadow_percent),
        safety=members.safety,
        salt=members.salt,
        hash_version=members.hash_version,
    )


def flags_of(members: Mapping[str, FlagMembers]) -> Mapping[str, Flag]:
    """As `flag_of` for each, in a body's member `flags`."""
    return {task: flag_of(task, wanted, f"/flags/{task}") for task, wanted in members.items()}


def view_of(flag: Flag, snapshot: FlagSnapshot) -> FlagView:
    """A flag as the API shows it."""
    return FlagView(
        task=flag.task,
        mode=flag.mode,
        events_percent=percent_of(flag.events_share),
        shadow_percent=percent_of(flag.shadow_share),
        safety=flag.safety,
        salt=flag.salt,
        hash_version=flag.hash_version,
        version=snapshot.version,
    )


def flags_view_of(snapshot: FlagSnapshot) -> Mapping[str, FlagView]:
    """All flags of a version, by name."""
    return {task: view_of(flag, snapshot) for task, flag in sorted(snapshot.flags.items())}


def _share(pointer: str, percent: float) -> int:
    try:
        return share_of(percent)
    except ValueError as exc:
        raise FlagRejected(f"{pointer}: {exc}", [FieldError(pointer, "0 to 100 in steps of 0.001")]) from exc
