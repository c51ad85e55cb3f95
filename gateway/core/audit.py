"""What somebody changed, or tried to: one entry of the audit log. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

__all__ = ["AuditEntry", "AuditPage", "AuditQuery"]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who, from where, what, why, and what came of it. Entries are appended and never changed."""

    id: str
    """UUIDv7: ids sort by time."""
    at: datetime
    actor: str
    """Who is known to have asked; who they say they are where access control is off."""
    via: str
    """How they showed it: `token`, `session`, `open`."""
    credential: str
    """Id of the access token."""
    address: str
    """Where the request came from."""
    action: str
    target: str
    """The task, the token, the message it is about; empty: the whole installation."""
    reason: str
    detail: str
    """What was asked for, cut to a bound; no secret."""
    status: int
    """The HTTP status of the answer: from 400 on nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries; what is None does not matter."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    before: str | None = None
    """Only entries before this id."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first, and the id the next page comes before; None where there is none."""

    entries: Sequence[AuditEntry]
    next_before: str | None
