"""The headers every message of a submission carries, whichever side it goes to."""

from __future__ import annotations

import msgspec

from dualrun.contracts import Role, Work
from dualrun.contracts.topology import (
    HEADER_FLAG_VERSION,
    HEADER_REDIRECTS,
    HEADER_ROLE,
    HEADER_ROUTING,
    HEADER_SAFETY,
    HEADER_SHADOWED,
    HEADER_SIDE,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
)
from gateway.core.redirect import routing_of

__all__ = ["work_headers"]

_encode = msgspec.json.Encoder().encode


def work_headers(work: Work) -> dict[str, str]:
    """What a worker needs to know of the submission, beside the work itself."""
    submission = work.submission
    headers = {
        HEADER_SUBMISSION_ID: submission.id,
        HEADER_ROLE: work.role.value,
        HEADER_SIDE: work.side.value,
        HEADER_FLAG_VERSION: str(work.decision.flag_version),
        HEADER_SUBMITTED_AT: submission.submitted_at.isoformat(),
    }
    if submission.traceparent is not None:
        headers[HEADER_TRACEPARENT] = submission.traceparent
    if work.role is Role.AUTHORITY and work.decision.shadow is not None:
        headers[HEADER_SHADOWED] = "1"
    if work.role is Role.SHADOW and work.decision.safety is not None:
        headers[HEADER_SAFETY] = work.decision.safety.value
    if submission.cohort_key != submission.id or submission.options.queue is not None or submission.attributes:
        headers[HEADER_ROUTING] = _encode(routing_of(submission)).decode()
    if work.redirects:
        headers[HEADER_REDIRECTS] = str(work.redirects)
    return headers
