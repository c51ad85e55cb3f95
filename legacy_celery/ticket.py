"""What a Celery message says of the submission it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dualrun.contracts import Role, Safety
from dualrun.contracts.topology import (
    HEADER_FLAG_VERSION,
    HEADER_RETRY_DELAYS,
    HEADER_ROLE,
    HEADER_SAFETY,
    HEADER_SHADOWED,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
    retry_delays_of,
    retry_within_of,
    safety_of,
)

__all__ = ["Ticket", "moment_of", "ticket_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A message's submission, and what its outcome will need."""

    submission_id: str
    task: str
    role: Role
    flag_version: int
    traceparent: str | None
    shadowed: bool
    """Whether a shadow of it will ask what the outside answered."""
    safety: Safety | None
    """Of a shadow: the safety class it runs under. None where the message does not say."""
    attempts: int
    retry_delays_s: tuple[float, ...]
    retry_within_s: tuple[float, ...]
    due_at: datetime | None
    """When it could have started at the earliest: its eta, else its submission. None where unknown, and for retries."""


def ticket_of(headers: Mapping[str, object]) -> Ticket | None:
    """The ticket in the headers of a message (or the attributes of `task.request`, which hold them); None where it is no submission."""
    submission_id = headers.get(HEADER_SUBMISSION_ID)
    if not isinstance(submission_id, str) or not submission_id:
        return None
    retries = _integer(headers.get("retries"))
    traceparent = headers.get(HEADER_TRACEPARENT)
    return Ticket(
        submission_id=submission_id,
        task=str(headers.get("task", "")),
        role=Role.SHADOW if headers.get(HEADER_ROLE) == Role.SHADOW.value else Role.AUTHORITY,
        flag_version=_integer(headers.get(HEADER_FLAG_VERSION)),
        traceparent=traceparent if isinstance(traceparent, str) else None,
        shadowed=HEADER_SHADOWED in headers and headers.get(HEADER_ROLE) != Role.SHADOW.value,
        safety=safety_of(headers.get(HEADER_SAFETY)),
        attempts=retries + 1,
        retry_delays_s=retry_delays_of(headers.get(HEADER_RETRY_DELAYS)),
        retry_within_s=retry_within_of(headers.get(HEADER_RETRY_DELAYS)),
        # Of a retry only the last delay is known, not how long the first attempt waited.
        due_at=None if retries else moment_of(headers.get("eta")) or moment_of(headers.get(HEADER_SUBMITTED_AT)),
    )


def _integer(value: object) -> int:
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else 0


def moment_of(value: object) -> datetime | None:
    """The moment a header names in ISO 8601; None where it names none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
