"""Looking for submissions: what is asked, and a page of what was found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from dualrun.contracts import Mode, Side
from gateway.core.comparison import Verdict

__all__ = ["FoundSubmission", "SubmissionPage", "SubmissionSearch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSearch:
    """Every condition given has to hold. The latest come first."""

    task: str | None = None
    id_starts: str | None = None
    """The beginning of the id."""
    verdicts: Collection[Verdict] | None = None
    """Any of these; None asks nothing of a comparison. Without one, time is when a submission came; with one, when it was compared."""
    waiting: bool = False
    """Only pairs of which an outcome has not come; then verdicts are not asked for."""
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, str] | None = None
    """Where the page before ended."""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSubmission:
    """One line of what was found."""

    id: str
    task: str
    submitted_at: datetime
    mode: Mode
    authority: Side
    shadow: Side | None
    flag_version: int
    verdict: Verdict | None
    pending: bool
    """Whether an outcome is still waited for."""


@dataclass(frozen=True, slots=True)
class SubmissionPage:
    """What was found."""

    found: tuple[FoundSubmission, ...]
    next_before: tuple[datetime, str] | None
    """Where to go on; None at the end."""
