"""The headers every message of a submission carries, whichever side it goes to."""

from __future__ import annotations

from dualrun.contracts import Work
from dualrun.contracts.topology import (
    HEADER_FLAG_VERSION,
    HEADER_ROLE,
    HEADER_SIDE,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
)

__all__ = ["work_headers"]


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
    return headers
