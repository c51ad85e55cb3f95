"""What a person has said about a difference group."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["TriageNote", "TriageState"]


class TriageState(StrEnum):
    """Where a group stands."""

    OPEN = "open"
    """Nobody has said anything."""
    KNOWN = "known"
    """Somebody is at it."""
    FIXED = "fixed"
    """It should not come again."""
    REOPENED = "reopened"
    """It was called fixed and came again. Only the comparator says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageNote:
    """Who said it, when and why."""

    state: TriageState
    author: str
    note: str = ""
    said_at: datetime
