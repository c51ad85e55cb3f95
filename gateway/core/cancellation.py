"""What it takes to cancel a submission, and what can be said of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from dualrun.contracts import Decision, Role, ServedTask, Side, Submission

__all__ = ["Asked", "Cancellation", "Cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """What one side is told."""

    submission: Submission
    role: Role | None
    """What the side was to do; None where it has no part in the submission, unless a flag change moves it there."""
    shadowed: bool
    """Whether a shadow of it is to run on that side, beside the authority or alone."""
    served: ServedTask
    redirects: int
    """How often a flag change has moved the submission."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one side was asked, and what that is worth."""

    side: Side
    role: Role | None
    asked: bool
    detail: str


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """A submission nobody wants any more. Whether it still ran is told by its outcome: `revoked` where it did not."""

    id: str
    task: str
    decision: Decision
    asked: tuple[Asked, ...]
