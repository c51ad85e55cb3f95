"""Names of exchanges and queues, and the headers every message of a submission carries."""

from __future__ import annotations

__all__ = [
    "DEAD_LETTERS",
    "EVENTS_EXCHANGE",
    "HEADER_ATTEMPT",
    "HEADER_DEAD_REASON",
    "HEADER_DEAD_TRACEBACK",
    "HEADER_ETA",
    "HEADER_EXPIRES",
    "HEADER_FLAG_VERSION",
    "HEADER_ROLE",
    "HEADER_SIDE",
    "HEADER_SUBMISSION_ID",
    "HEADER_SUBMITTED_AT",
    "HEADER_TRACEPARENT",
    "RECORDS_QUEUE",
    "SHADOW_EXCHANGE",
    "dead_letter_queue",
    "retry_queue",
    "service_queue",
    "shadow_queue",
]

EVENTS_EXCHANGE = "dualrun.events"
"""Topic. Authority work for the events side, and every event the new world publishes. Routing key = event type = task."""
SHADOW_EXCHANGE = "dualrun.shadow"
"""Topic. Shadow work for the events side; same routing keys, its own bounded queues."""
DEAD_LETTERS = "dualrun.dead"
"""Direct. Where poison messages go; routing key = the queue they came from."""
RECORDS_QUEUE = "dualrun.records"
"""Submissions and outcomes on their way to the ledger: messages hold JSON arrays of records."""

HEADER_SUBMISSION_ID = "dualrun-submission-id"
HEADER_ROLE = "dualrun-role"
HEADER_SIDE = "dualrun-side"
HEADER_FLAG_VERSION = "dualrun-flag-version"
HEADER_SUBMITTED_AT = "dualrun-submitted-at"
"""ISO 8601, UTC: lets a worker say how long the work was queued."""
HEADER_TRACEPARENT = "traceparent"
HEADER_ETA = "dualrun-eta"
"""ISO 8601, UTC: the work is not to start before. Absent means now."""
HEADER_EXPIRES = "dualrun-expires"
"""ISO 8601, UTC: a worker that receives the work later does not run it."""
HEADER_ATTEMPT = "dualrun-attempt"
"""Which attempt this is, from 1. Absent means 1; set by the event runtime when it asks for another."""
HEADER_DEAD_REASON = "dualrun-dead-reason"
"""Why a message was put aside, on the message itself."""
HEADER_DEAD_TRACEBACK = "dualrun-dead-traceback"
"""The end of the traceback, where a handler failed."""


def service_queue(service: str) -> str:
    """The one queue in which a service's authority events wait."""
    return f"dualrun.events.{service}"


def shadow_queue(service: str) -> str:
    """The bounded queue in which a service's shadow events wait."""
    return f"dualrun.shadow.{service}"


def dead_letter_queue(queue: str) -> str:
    """Where the messages that `queue` could not deal with are kept."""
    return f"{queue}.dead"


def retry_queue(queue: str, delay_ms: int) -> str:
    """Where messages of `queue` wait exactly `delay_ms`. One queue a delay, so that no long wait stands before a short one."""
    return f"{queue}.retry.{delay_ms}"
