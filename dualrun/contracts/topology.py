"""Names of exchanges and queues, and the headers every message of a submission carries."""

from __future__ import annotations

import math

from dualrun.contracts.words import Safety

__all__ = [
    "DEAD_LETTERS",
    "EVENTS_EXCHANGE",
    "FLAGS_EXCHANGE",
    "HEADER_ATTEMPT",
    "HEADER_DEAD_REASON",
    "HEADER_DEAD_TRACEBACK",
    "HEADER_ETA",
    "HEADER_EXPIRES",
    "HEADER_FLAG_VERSION",
    "HEADER_PUT_ASIDE",
    "HEADER_RECALLED_BY",
    "HEADER_REDIRECTS",
    "HEADER_RETRY_DELAYS",
    "HEADER_ROLE",
    "HEADER_ROUTING",
    "HEADER_SAFETY",
    "HEADER_SERVICE",
    "HEADER_SHADOWED",
    "HEADER_SIDE",
    "HEADER_STARTED",
    "HEADER_SUBMISSION_ID",
    "HEADER_SUBMITTED_AT",
    "HEADER_TRACEPARENT",
    "RECORDS_QUEUE",
    "REDIRECT_QUEUE",
    "RETRY_STEPS_S",
    "SHADOW_EXCHANGE",
    "dead_letter_queue",
    "retry_delays_of",
    "retry_delays_with",
    "retry_queue",
    "retry_within_of",
    "safety_of",
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

REDIRECT_QUEUE = "dualrun.redirect"
"""Recalled messages, as their side got them: gateways send them to the side that is the authority now."""
FLAGS_EXCHANGE = "dualrun.flags"
"""Fan-out. What every gateway and worker is told of flags and of work in flight, beside the store of the flags."""

HEADER_SUBMISSION_ID = "dualrun-submission-id"
HEADER_ROLE = "dualrun-role"
HEADER_SIDE = "dualrun-side"
HEADER_SERVICE = "dualrun-service"
"""The one service that runs the work, where several are bound to its type. Absent means any. Events side only."""
HEADER_FLAG_VERSION = "dualrun-flag-version"
HEADER_SUBMITTED_AT = "dualrun-submitted-at"
"""ISO 8601, UTC: lets a worker say how long the work was queued."""
HEADER_SHADOWED = "dualrun-shadowed"
"""Present on authority work that has a shadow: what the outside answers is kept for it."""
HEADER_SAFETY = "dualrun-safety"
"""Present on shadow work: the safety class, which says what becomes of calls the authority never made. Absent means as `sandboxed`."""
HEADER_TRACEPARENT = "traceparent"
HEADER_ETA = "dualrun-eta"
"""ISO 8601, UTC: the work is not to start before. Absent means now."""
HEADER_EXPIRES = "dualrun-expires"
"""ISO 8601, UTC: a worker that receives the work later does not run it."""
HEADER_ROUTING = "dualrun-routing"
"""JSON: what a decision and the other side need of the submission and this side does not. Absent where all of it is as by default."""
HEADER_REDIRECTS = "dualrun-redirects"
"""How often the message was redirected. Absent means never."""
HEADER_RECALLED_BY = "dualrun-recalled-by"
"""On a message given back: the flag version that recalls it."""
HEADER_ATTEMPT = "dualrun-attempt"
"""Which attempt this is, from 1. Absent means 1; set by the event runtime when it asks for another."""
HEADER_RETRY_DELAYS = "dualrun-retry-delays"
"""Seconds each further attempt so far was asked to wait, separated by commas; where jitter drew them, `0.7/4.0`: of at most so many. Set by
whoever asks for one, on either side."""
HEADER_STARTED = "dualrun-started"
"""Present on a message that was published again and that a worker may have started: no flag recalls it any more. As a delivery's own mark
of having been delivered before, which a copy has not."""
HEADER_DEAD_REASON = "dualrun-dead-reason"
"""Why a message was put aside, on the message itself."""
HEADER_PUT_ASIDE = "dualrun-put-aside"
"""How often an event that was handled was put aside, on the message itself: whoever replays it sends another piece of work, whatever is
remembered of the one before. Absent means never."""
HEADER_DEAD_TRACEBACK = "dualrun-dead-traceback"
"""The end of the traceback, where a handler failed."""


_SAFETY_CLASSES = frozenset(Safety)
RETRY_STEPS_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""How long messages wait in the queues beside a service's own, in seconds: a queue for each of these."""


def service_queue(service: str) -> str:
    """The one queue in which a service's authority events wait."""
    return f"dualrun.events.{service}"


def shadow_queue(service: str) -> str:
    """The bounded queue in which a service's shadow events wait."""
    return f"dualrun.shadow.{service}"


def retry_delays_with(header: object, delay_s: float, at_most_s: float | None = None) -> str:
    """The header's value after one more attempt was asked for, that many seconds away; drawn from up to `at_most_s` where jitter did."""
    before = str(header) if retry_delays_of(header) else ""
    drawn = "" if at_most_s is None else f"/{round(at_most_s, 3)}"
    return ",".join(filter(None, (before, f"{round(max(0.0, delay_s), 3)}{drawn}")))


def retry_delays_of(header: object) -> tuple[float, ...]:
    """What `HEADER_RETRY_DELAYS` says; nothing where it is missing or unreadable: nobody's work depends on it.

    Infinite times count as unreadable: JSON has none, and an outcome that bore one could not be read again.
    """
    return tuple(delay_s for delay_s, _ in _delays_in(header))


def retry_within_of(header: object) -> tuple[float, ...]:
    """Of each of those delays, the most jitter could have made it, or the delay itself; nothing where jitter drew none of them."""
    delays = _delays_in(header)
    return tuple(at_most_s for _, at_most_s in delays) if any("/" in part for part in str(header).split(",")) else ()


def _delays_in(header: object) -> tuple[tuple[float, float], ...]:
    text = header.decode(errors="replace") if isinstance(header, bytes) else header
    if not isinstance(text, str) or not text:
        return ()
    try:
        parts = [part.partition("/") for part in text.split(",")]
        delays = tuple((float(delay), float(at_most or delay)) for delay, _, at_most in parts)
    except ValueError:
        return ()
    return delays if all(math.isfinite(number) for pair in delays for number in pair) else ()


def safety_of(header: object) -> Safety | None:
    """The class `HEADER_SAFETY` names; None where it is missing or none this release knows."""
    return Safety(header) if isinstance(header, str) and header in _SAFETY_CLASSES else None


def dead_letter_queue(queue: str) -> str:
    """Where the messages that `queue` could not deal with are kept."""
    return f"{queue}.dead"


def retry_queue(queue: str, delay_ms: int) -> str:
    """Where messages of `queue` wait exactly `delay_ms`. One queue a delay, so that no long wait stands before a short one."""
    return f"{queue}.retry.{delay_ms}"
