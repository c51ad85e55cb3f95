"""Flags and the immutable snapshot decisions are taken from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from dualrun.contracts import Mode, Safety
from gateway.core.errors import FieldError, FlagRejected, UnsafeShadow

__all__ = ["FULL_SHARE", "HASH_VERSION", "Flag", "FlagSnapshot", "percent_of", "share_of"]

FULL_SHARE = 100_000
"""Shares count hundred-thousandths: 0.001 % is 1."""
HASH_VERSION = 1
"""How `bucket_of` hashes. Another way of hashing re-deals every cohort, so it gets another number."""

_SHADOW_MODES = frozenset({Mode.SHADOW, Mode.CANARY, Mode.MIRROR})
_NEVER = datetime.fromtimestamp(0, UTC)
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Where one task (or every task a glob names) is on its way."""

    task: str
    mode: Mode = Mode.LEGACY
    events_share: int = 0
    """Canary: cohort keys whose authority is events, in hundred-thousandths."""
    shadow_share: int = 0
    """Cohort keys that also run as a shadow, in hundred-thousandths."""
    safety: Safety = Safety.UNSAFE
    salt: str = ""
    hash_version: int = HASH_VERSION

    @property
    def is_glob(self) -> bool:
        return not _GLOB.isdisjoint(self.task)

    @property
    def shadows(self) -> bool:
        """Whether any submission under this flag may run as a shadow."""
        return self.mode in _SHADOW_MODES and self.shadow_share > 0

    def check(self) -> None:
        """Raises `FlagRejected` naming the field, `UnsafeShadow` where the safety class forbids the shadow asked for."""
        errors = [
            FieldError(f"/{name}", "is a percentage: 0 to 100, in steps of 0.001")
            for name, share in (("events_percent", self.events_share), ("shadow_percent", self.shadow_share))
            if not 0 <= share <= FULL_SHARE
        ]
        if self.hash_version != HASH_VERSION:
            errors.append(FieldError("/hash_version", f"this release hashes by version {HASH_VERSION}"))
        if errors:
            raise FlagRejected(f"flag of {self.task!r}: {'; '.join(map(repr, errors))}", errors)
        if self.shadows and self.safety is Safety.UNSAFE:
            raise UnsafeShadow(
                f"{self.task!r} may not run as a shadow: its safety class is unsafe (the default). Declare `safety` as pure, "
                "idempotent or sandboxed if one of them is true of it, or set shadow_percent to 0",
                [FieldError("/safety", "pure, idempotent or sandboxed")],
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSnapshot:
    """All flags at one moment. Replaced whole, never changed."""

    version: int
    flags: Mapping[str, Flag] = field(default_factory=dict)
    changed_at: datetime = _NEVER
    author: str = ""
    reason: str = ""
    source: str = ""
    """Where the change came from: file, api, cli, console, gate."""

    def flag_for(self, task: str) -> Flag | None:
        """The flag in force: the task's own, else the longest glob that matches it (ties: the alphabetically first)."""
        own = self.flags.get(task)
        if own is not None:
            return own
        globs = [flag for flag in self.flags.values() if flag.is_glob and fnmatchcase(task, flag.task)]
        return min(globs, key=lambda flag: (-len(flag.task), flag.task), default=None)

    def with_flag(self, flag: Flag) -> Mapping[str, Flag]:
        """The flags with this one set."""
        return {**self.flags, flag.task: flag}

    def numbered(self, version: int) -> FlagSnapshot:
        """The same flags under another number."""
        return replace(self, version=version)


def share_of(percent: float) -> int:
    """Hundred-thousandths of a percentage.

    Raises `ValueError` where it is not 0 to 100 in steps of 0.001.
    """
    # Asked first: NaN, infinity and numbers beyond a float are not between the two, and cannot be rounded.
    if 0 <= percent <= 100:
        share = round(percent * 1_000)
        if abs(percent * 1_000 - share) <= 1e-6:
            return share
    raise ValueError(f"{percent!r} is not a percentage from 0 to 100 in steps of 0.001")


def percent_of(share: int) -> float:
    """The percentage a share stands for."""
    return share / 1_000
