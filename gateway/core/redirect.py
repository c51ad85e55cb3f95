"""What comes back through the gateway: a submission whose side gave its message back, to be decided again."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from dualrun.contracts import JsonObject, Side, Submission

__all__ = ["GivenBack", "NotARedirect", "Routing", "routing_of"]


class NotARedirect(ValueError):
    """A message that no side of ours can have given back; the text says why."""


class Routing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a decision and the other side need of a submission, and the side that has it does not. It travels in a header."""

    cohort_key: str | None = None
    """None for the submission's id."""
    queue: str | None = None
    """The legacy queue the caller named."""
    attributes: JsonObject = {}
    """What targeting rules look at beside the arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """A submission that waited on a side and had not started."""

    submission: Submission
    side: Side
    decided_under: int
    """Flag version of the decision that sent it there."""
    recalled_by: int
    """Flag version that recalls it."""
    redirects: int
    """How often it was redirected before."""


def routing_of(submission: Submission) -> Routing:
    """What travels with the submission."""
    return Routing(
        cohort_key=None if submission.cohort_key == submission.id else submission.cohort_key,
        queue=submission.options.queue,
        attributes=submission.attributes,
    )
