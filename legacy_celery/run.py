"""Runs of submissions in one worker process, from Celery's signals to outcomes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeAlias
from weakref import WeakValueDictionary

from celery.exceptions import Reject

from dualrun.contracts import Failure, Outcome, Side, State
from dualrun.contracts.topology import HEADER_RETRY_DELAYS, retry_delays_with
from dualrun.effects import Execution, execution
from dualrun.effects.answer_store import answers_dropped, keep, look_up
from dualrun.telemetry import ExecutionTrace, execution_span
from legacy_celery.ending import Ending, ending_of, failure_of, outcome_of
from legacy_celery.ticket import Ticket, moment_of, ticket_of

__all__ = ["Received", "Record", "Runs"]

log = logging.getLogger(__name__)

Record: TypeAlias = Callable[[Outcome], None]
_MS_PER_S = 1_000.0


class Received(Protocol):
    """Celery's `Request`: a message in the main process, alive until its task is over."""

    id: str

    @property
    def request_dict(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class _Run:
    ticket: Ticket
    stack: ExitStack
    execution: Execution
    trace: ExecutionTrace | None
    started_s: float


class Runs:
    """What runs now. Signals of one task come in one thread; several tasks may run in several threads."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._running: dict[tuple[str, int], _Run] = {}
        self._received: WeakValueDictionary[str, Received] = WeakValueDictionary()
        self._received_in = os.getpid()

    def received(self, request: Received) -> None:
        """The main process has a message: remembered for the case that the child running it dies."""
        if ticket_of(request.request_dict) is not None:
            self._received[request.id] = request

    def began(self, task_id: str, request: Mapping[str, object]) -> None:
        """The body is about to run, in this thread. From here on its effects are captured, and in a shadow not performed."""
        ticket = ticket_of(request)
        if ticket is None:
            return
        stack = ExitStack()
        # The sandbox comes first and stands alone: nothing that can go wrong with tracing may let a shadow out.
        captured = stack.enter_context(
            execution(
                role=ticket.role,
                side=Side.LEGACY,
                submission_id=ticket.submission_id,
                task=ticket.task,
                recorded=ticket.shadowed,
                safety=ticket.safety,
            )
        )
        if captured.shadow:
            look_up(captured, ticket.attempts)
        trace = _span(stack, ticket)
        self._running[task_id, threading.get_ident()] = _Run(ticket, stack, captured, trace, time.monotonic())

    def asks_for_another(self, headers: dict[str, object], at_most_s: float | None = None) -> None:
        """Code in this thread is about to publish that message: if it is the run's own next attempt, it says how long that is to wait.

        `at_most_s`: the wait was drawn by jitter, from none to that.
        """
        run = self._running.get((str(headers.get("id")), threading.get_ident()))
        if run is None or not headers.get("retries"):
            return
        due_at = moment_of(headers.get("eta"))
        delay_s = 0.0 if due_at is None else (due_at - datetime.now(UTC)).total_seconds()
        headers[HEADER_RETRY_DELAYS] = retry_delays_with(headers.get(HEADER_RETRY_DELAYS), delay_s, at_most_s)

    def ended(self, task_id: str, celery_state: str | None, retval: object) -> None:
        """The body has run, and Celery has stored the result: that is part of the elapsed time."""
        run = self._running.pop((task_id, threading.get_ident()), None)
        if run is None:
            return
        elapsed_ms = (time.monotonic() - run.started_s) * _MS_PER_S
        ended_at = datetime.now(UTC)
        ending = None
        try:
            ending = ending_of(celery_state, retval)
            if run.trace is not None and ending is not None and ending.failure is not None:
                run.trace.failed(ending.failure.kind)
        finally:
            run.stack.close()
        if run.execution.recorder is not None:
            recording = run.execution.recorder.recording()
            keep(run.ticket.submission_id, recording, attempt=run.ticket.attempts, is_last=ending is not None)
        if ending is not None:
            self._record(_outcome(run, ending, ended_at, elapsed_ms))

    def lost(self, task_id: str, exc: BaseException, traceback_text: str | None) -> None:
        """Celery reports a failure. Inside a run `ended` will tell more; in the main process nobody else will."""
        if (task_id, threading.get_ident()) in self._running or isinstance(exc, Reject) or os.getpid() != self._received_in:
            return
        request = self._received.get(task_id)
        if request is not None:
            self.never_ran(request.request_dict, Ending(state=State.FAILED, failure=failure_of(exc, traceback_text)))

    def broke(self, task_id: str, request: Mapping[str, object], exc: BaseException) -> None:
        """Celery itself failed around the body. If `ended` was called before, it has told, and this changes nothing."""
        run = self._running.pop((task_id, threading.get_ident()), None)
        if run is not None:
            run.stack.close()
        self.never_ran(request, Ending(state=State.FAILED, failure=failure_of(exc)))

    def revoked(self, request: Mapping[str, object], *, expired: bool) -> None:
        """It was revoked, or had expired when it came."""
        self.never_ran(request, Ending(state=State.EXPIRED if expired else State.REVOKED))

    def refused(self, headers: Mapping[str, object], kind: str, message: str) -> None:
        """The worker refused the message."""
        self.never_ran(headers, Ending(state=State.REJECTED, failure=Failure(kind=kind, message=message)))

    def never_ran(self, headers: Mapping[str, object], ending: Ending) -> None:
        """An outcome without a run of which anything is known."""
        ticket = ticket_of(headers)
        if ticket is not None:
            self._record(outcome_of(ticket, ending, ended_at=datetime.now(UTC)))


def _span(stack: ExitStack, ticket: Ticket) -> ExecutionTrace | None:
    try:
        return stack.enter_context(
            execution_span(
                ticket.task, traceparent=ticket.traceparent, submission_id=ticket.submission_id, side=Side.LEGACY, role=ticket.role
            )
        )
    except Exception:  # an observer: a task runs with or without its trace
        log.warning("execution_not_traced", exc_info=True, extra={"submission_id": ticket.submission_id})
        return None


def _outcome(run: _Run, ending: Ending, ended_at: datetime, elapsed_ms: float) -> Outcome:
    return outcome_of(
        run.ticket,
        ending,
        ended_at=ended_at,
        elapsed_ms=elapsed_ms,
        effects=run.execution.effects,
        effects_dropped=run.execution.effects_dropped,
        generated=run.execution.generated_keys,
        spans=run.trace.spans if run.trace is not None else (),
        spans_dropped=run.trace.dropped if run.trace is not None else 0,
        canvas=tuple(sorted(run.execution.canvas)),
        answers_dropped=answers_dropped(run.execution),
        calls_unknown=run.execution.calls_unknown,
        calls_unanswered=run.execution.calls_unanswered,
        connections_uncaptured=run.execution.connections_uncaptured,
    )
