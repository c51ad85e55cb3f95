"""How Celery says that a task ended, in the words of an outcome. Pure but for the clock readings it is given."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from celery import states
from celery.exceptions import Reject
from kombu.utils.json import dumps

from dualrun.contracts import Effect, Failure, GeneratedKey, JsonValue, Outcome, Side, SpanRecord, State
from legacy_celery.ticket import Ticket

__all__ = ["STATES", "Ending", "ending_of", "failure_of", "outcome_of", "plain_value", "worker_name"]

STATES: Mapping[str, State | None] = {
    states.SUCCESS: State.SUCCEEDED,
    states.FAILURE: State.FAILED,
    states.REVOKED: State.REVOKED,
    states.IGNORED: State.IGNORED,
    states.REJECTED: State.REJECTED,
    states.RETRY: None,
}
"""Celery's state after a run -> the outcome's; None where the task is not over."""

_MESSAGE_MAX = 1_000
_TRACEBACK_MAX = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How it ended, without the circumstances."""

    state: State
    value: JsonValue = None
    failure: Failure | None = None


def ending_of(celery_state: str | None, retval: object) -> Ending | None:
    """What `task_postrun` tells; None where the task is not over.

    It will run again (a retry, or a rejected message that goes back to its queue); or there is no state at all, because the process is
    being killed around it: then the main process tells.
    """
    state = None if celery_state is None else STATES[celery_state]
    if state is None or (isinstance(retval, Reject) and retval.requeue):
        return None
    if state is State.SUCCEEDED:
        return Ending(state=state, value=plain_value(retval))
    if state is State.FAILED and isinstance(retval, BaseException):
        return Ending(state=state, failure=failure_of(retval))
    if isinstance(retval, Reject):
        return Ending(state=state, failure=Failure(kind="Reject", message=str(retval.reason or "")[:_MESSAGE_MAX]))
    return Ending(state=state)


def plain_value(value: object) -> JsonValue:
    """The value as Celery's JSON serializer writes it: typed objects are `{"__type__": ..., "__value__": ...}`.

    What it cannot write (a worker may use pickle) stands as the type `repr`.
    """
    try:
        plain: JsonValue = msgspec.json.decode(dumps(value))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return {"__type__": "repr", "__value__": repr(value)[:_MESSAGE_MAX]}
    return plain


def failure_of(exc: BaseException, text: str | None = None) -> Failure:
    """The error as data; `text` is its traceback where the error object has lost it on the way from another process."""
    text = text or "".join(traceback.format_exception(exc))
    return Failure(kind=type(exc).__name__, message=str(exc)[:_MESSAGE_MAX], traceback=text[-_TRACEBACK_MAX:])


def outcome_of(
    ticket: Ticket,
    ending: Ending,
    *,
    ended_at: datetime,
    elapsed_ms: float = 0.0,
    effects: tuple[Effect, ...] = (),
    effects_dropped: int = 0,
    generated: tuple[GeneratedKey, ...] = (),
    spans: tuple[SpanRecord, ...] = (),
    spans_dropped: int = 0,
    canvas: tuple[str, ...] = (),
    answers_dropped: int = 0,
    calls_unknown: int = 0,
    calls_unanswered: int = 0,
    connections_uncaptured: tuple[str, ...] = (),
) -> Outcome:
    """The outcome of a submission on the legacy side. A run of 0 ms is one that never started, or died with its process."""
    started_at = ended_at - timedelta(milliseconds=elapsed_ms)
    queued_ms = None if ticket.due_at is None else max(0.0, (started_at - ticket.due_at).total_seconds() * 1_000)
    return Outcome(
        submission_id=ticket.submission_id,
        task=ticket.task,
        side=Side.LEGACY,
        role=ticket.role,
        state=ending.state,
        value=ending.value,
        failure=ending.failure,
        effects=effects,
        effects_dropped=effects_dropped,
        generated=generated,
        spans=spans,
        spans_dropped=spans_dropped,
        canvas=canvas,
        answers_dropped=answers_dropped,
        calls_unknown=calls_unknown,
        calls_unanswered=calls_unanswered,
        connections_uncaptured=connections_uncaptured,
        attempts=ticket.attempts,
        retry_delays_s=ticket.retry_delays_s,
        retry_within_s=ticket.retry_within_s,
        queued_ms=queued_ms,
        elapsed_ms=elapsed_ms,
        started_at=started_at.astimezone(UTC),
        ended_at=ended_at.astimezone(UTC),
        worker=worker_name(),
        flag_version=ticket.flag_version,
    )


def worker_name() -> str:
    """This process: `host:pid`."""
    return f"{_HOST}:{os.getpid()}"


_HOST = socket.gethostname()
