"""A worker, as it announced itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dualrun.contracts import Side

__all__ = ["KnownWorker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWorker:
    """One worker of which an announcement is still kept."""

    name: str
    """`host:pid`, or what it calls itself."""
    side: Side
    service: str
    tasks: Collection[str]
    seen_s_ago: float
    """Since it last announced itself."""
    alive: bool
    """Whether that announcement still holds."""
