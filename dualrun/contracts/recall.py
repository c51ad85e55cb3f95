"""Recalls: which messages go back through the gateway, because a flag changed after they were decided. Pure.

A flag change that may take cohort keys off a side recalls that side's messages: those decided under an older version are given back,
decided again, and sent to the side that is now the authority. Workers need not know the flags for that, only, for each task, the version
before which its messages are recalled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import msgspec

from dualrun.contracts.words import Side

__all__ = ["FlagsDigest", "Override", "Overrides", "Recalls", "RedirectCounts", "WorkerCounts", "effective_version", "recalled_before"]

Recalls: TypeAlias = dict[Side, dict[str, int]]
"""Side -> name of a task, or glob of tasks -> version: messages decided under an older one are given back."""


class FlagsDigest(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker reads of the document all flags are kept in."""

    version: int
    recalls: Recalls = {}
    overrides: tuple[str, ...] = ()
    """Ids of the latest overrides that are part of it."""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker reads of a flag change that is in force although the store of the flags is away, and not part of the document yet."""

    id: str
    version: int
    """The version it made where it was made."""
    recalls: dict[Side, tuple[str, ...]] = {}


class Overrides(msgspec.Struct, frozen=True, kw_only=True, tag_field="notice", tag="overrides"):
    """Told to every process: all overrides its sender knows of, so that whoever hears of one has heard of those before it."""

    overrides: tuple[Override, ...]


class WorkerCounts(msgspec.Struct, frozen=True, kw_only=True, tag_field="notice", tag="worker"):
    """Told by a worker that heard of a recall, again whenever a number changes."""

    worker: str
    side: Side
    version: int
    """The recall's."""
    started: int
    """Recalled messages it had started when it heard: it finishes them."""
    given_back: int
    """Recalled messages it has given back so far."""
    waiting: int
    """Messages of any task it has not looked at yet, as far as it knows."""


class RedirectCounts(msgspec.Struct, frozen=True, kw_only=True, tag_field="notice", tag="redirects"):
    """Told by a gateway: what it did with the messages of one recall, added up since it started."""

    gateway: str
    version: int
    """The recall's."""
    redirected: int = 0
    """Sent to the other side, to start at once."""
    scheduled: int = 0
    """Sent to the other side with an eta that lies ahead."""
    kept: int = 0
    """Sent back to their side: the flag's change was not about their cohort keys."""
    repeated: int = 0
    """Come twice, and redirected once."""


def effective_version(stored: int, overrides: Collection[Override]) -> int:
    """The version in force where a document of version `stored` and these overrides are known."""
    return max([stored + len(overrides), *(override.version for override in overrides)])


def recalled_before(digest: FlagsDigest, overrides: Collection[Override], side: Side) -> Mapping[str, int]:
    """Name or glob -> version, for one side.

    Overrides made one after the other have numbers of their own, and each recalls what was decided before it. Two made at the same time,
    by gateways that had not heard of each other, share a number: then only the version that includes them all is sure to know of each.
    """
    recalled = dict(digest.recalls.get(side, {}))
    numbers = {override.version for override in overrides}
    together = effective_version(digest.version, overrides)
    for override in overrides:
        version = override.version if len(numbers) == len(overrides) else together
        for name in override.recalls.get(side, ()):
            recalled[name] = max(version, recalled.get(name, 0))
    return recalled
