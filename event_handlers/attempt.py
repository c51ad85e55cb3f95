"""One attempt at one event: the handler run in its capture, its trace and its time limit."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dualrun import effects
from dualrun.contracts import Effect, Failure, JsonValue, Outcome, Side, SpanRecord, State, typed_json
from dualrun.telemetry import execution_span
from event_handlers.arrival import Arrival
from event_handlers.context import Context, enter
from event_handlers.definition import Handler
from event_handlers.policy import TimeLimitExceeded, failure_of
from event_handlers.publisher import EventPublisher

__all__ = ["WORKER", "Attempt", "expired_outcome", "make_attempt"]

WORKER = f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an attempt ended. Without an error it succeeded."""

    arrival: Arrival
    value: JsonValue
    error: BaseException | None
    effects: tuple[Effect, ...]
    effects_dropped: int
    spans: tuple[SpanRecord, ...]
    spans_dropped: int
    started_at: datetime
    elapsed_ms: float

    def outcome(self, submission_id: str) -> Outcome:
        """The outcome, if this was the last attempt."""
        arrival = self.arrival
        failure: Failure | None = None if self.error is None else failure_of(self.error)
        return Outcome(
            submission_id=submission_id,
            task=arrival.event.type,
            side=Side.EVENTS,
            role=arrival.role,
            state=State.SUCCEEDED if failure is None else State.FAILED,
            value=self.value,
            failure=failure,
            effects=self.effects,
            effects_dropped=self.effects_dropped,
            spans=self.spans,
            spans_dropped=self.spans_dropped,
            attempts=arrival.attempt,
            queued_ms=arrival.queued_ms(self.started_at),
            elapsed_ms=self.elapsed_ms,
            started_at=self.started_at,
            ended_at=self.started_at + timedelta(milliseconds=self.elapsed_ms),
            worker=WORKER,
            flag_version=arrival.flag_version,
        )


def expired_outcome(arrival: Arrival, submission_id: str, now: datetime) -> Outcome:
    """The outcome of a submission that came too late to be run."""
    return Outcome(
        submission_id=submission_id,
        task=arrival.event.type,
        side=Side.EVENTS,
        role=arrival.role,
        state=State.EXPIRED,
        attempts=arrival.attempt,
        queued_ms=arrival.queued_ms(now),
        elapsed_ms=0.0,
        started_at=now,
        ended_at=now,
        worker=WORKER,
        flag_version=arrival.flag_version,
    )


async def make_attempt(handler: Handler, arrival: Arrival, publisher: EventPublisher) -> Attempt:
    """Run the handler once. Only a cancellation from outside is raised; whatever else ends the handler is in the attempt."""
    started_at, began = datetime.now(UTC), time.perf_counter()
    value: JsonValue = None
    error: BaseException | None = None
    identity = arrival.submission_id or arrival.event.id
    with (
        execution_span(handler.task, traceparent=arrival.traceparent, submission_id=identity, side=Side.EVENTS, role=arrival.role) as trace,
        _capture(arrival) as run,
    ):
        try:
            value = typed_json.encode(await _invoke(handler, arrival, publisher))
        except asyncio.CancelledError as exc:
            # Unless the worker cancelled it, the handler awaited something that was cancelled: a failure like any other.
            if _is_cancelled_from_outside():
                raise
            error = exc
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a side that fails is data
            error = exc
        elapsed_ms = (time.perf_counter() - began) * 1e3
        if error is not None:
            trace.failed(type(error).__name__)
    return Attempt(
        arrival=arrival,
        value=value,
        error=error,
        effects=run.effects if run is not None else (),
        effects_dropped=run.effects_dropped if run is not None else 0,
        spans=trace.spans,
        spans_dropped=trace.dropped,
        started_at=started_at,
        elapsed_ms=elapsed_ms,
    )


async def _invoke(handler: Handler, arrival: Arrival, publisher: EventPublisher) -> object:
    limit_s = handler.policy.time_limit_s
    context = Context(
        event=arrival.event,
        task=handler.task,
        submission_id=arrival.submission_id,
        role=arrival.role,
        attempt=arrival.attempt,
        ends_at=None if limit_s is None else time.monotonic() + limit_s,
        publisher=publisher,
    )
    enter(context)
    if limit_s is None:
        return await handler.invoke(arrival.event, context)
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await handler.invoke(arrival.event, context)
    except TimeoutError as exc:
        # A TimeoutError of the handler's own, from a client library, is not the limit.
        if limit.expired():
            raise TimeLimitExceeded(limit_s) from exc
        raise


def _is_cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def _capture(arrival: Arrival) -> Iterator[effects.Execution | None]:
    """Capture the effects of a submission; those of an ordinary event are nobody's to compare."""
    if arrival.submission_id is None:
        yield None
        return
    with effects.execution(role=arrival.role, side=Side.EVENTS, submission_id=arrival.submission_id, task=arrival.event.type) as run:
        yield run
