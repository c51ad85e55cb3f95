"""One attempt at one event: the handler run in its capture, its trace and its time limit."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec

from dualrun import effects
from dualrun.breakers import BreakerBoard
from dualrun.contracts import Effect, Failure, GeneratedKey, JsonValue, Outcome, Side, SpanRecord, State, typed_json
from dualrun.effects.answer_store import answers_dropped, keep, look_up
from dualrun.effects.answers import Recording
from dualrun.telemetry import execution_span
from event_handlers.arrival import Arrival
from event_handlers.circuit_guard import CircuitGuard
from event_handlers.context import Context, enter
from event_handlers.definition import Handler
from event_handlers.policy import TimeLimitExceeded, failure_of
from event_handlers.publisher import EventPublisher

__all__ = ["Attempt", "make_attempt", "unrun_outcome", "worker_name"]

_UNCAPTURED = nullcontext()


@cache
def worker_name() -> str:
    """Which worker this is, `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


os.register_at_fork(after_in_child=worker_name.cache_clear)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended. Without an error it succeeded."""

    arrival: Arrival
    value: JsonValue
    error: BaseException | None
    effects: tuple[Effect, ...]
    effects_dropped: int
    generated: tuple[GeneratedKey, ...]
    spans: tuple[SpanRecord, ...]
    spans_dropped: int
    answers_dropped: int
    calls_unknown: int
    calls_unanswered: int
    connections_uncaptured: tuple[str, ...]
    recording: Recording | None
    """What the outside answered, where a shadow will ask."""
    started_at: datetime
    elapsed_ms: float

    def keep_answers(self, *, is_last: bool) -> None:
        """Have its shadow find what the outside answered; `is_last` where no attempt follows."""
        identity = self.arrival.submission_id
        if self.recording is not None and identity is not None:
            keep(identity, self.recording, attempt=self.arrival.attempt, is_last=is_last)

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
            generated=self.generated,
            spans=self.spans,
            spans_dropped=self.spans_dropped,
            answers_dropped=self.answers_dropped,
            calls_unknown=self.calls_unknown,
            calls_unanswered=self.calls_unanswered,
            connections_uncaptured=self.connections_uncaptured,
            attempts=arrival.attempt,
            retry_delays_s=arrival.retry_delays_s,
            retry_within_s=arrival.retry_within_s,
            queued_ms=arrival.queued_ms(self.started_at),
            elapsed_ms=self.elapsed_ms,
            started_at=self.started_at,
            ended_at=self.started_at + timedelta(milliseconds=self.elapsed_ms),
            worker=worker_name(),
            flag_version=arrival.flag_version,
        )


def unrun_outcome(arrival: Arrival, submission_id: str, now: datetime, state: State) -> Outcome:
    """The outcome of a submission that came too late to be run, or is not wanted any more."""
    return Outcome(
        submission_id=submission_id,
        task=arrival.event.type,
        side=Side.EVENTS,
        role=arrival.role,
        state=state,
        attempts=arrival.attempt,
        retry_delays_s=arrival.retry_delays_s,
        retry_within_s=arrival.retry_within_s,
        queued_ms=arrival.queued_ms(now),
        elapsed_ms=0.0,
        started_at=now,
        ended_at=now,
        worker=worker_name(),
        flag_version=arrival.flag_version,
    )


async def make_attempt(
    handler: Handler, arrival: Arrival, publisher: EventPublisher, circuits: CircuitGuard, breakers: BreakerBoard | None = None
) -> Attempt:
    """Run the handler once. Only a cancellation from outside is raised; whatever else ends the handler is in the attempt."""
    started_at, began = datetime.now(UTC), time.perf_counter()
    value: JsonValue = None
    error: BaseException | None = None
    identity = arrival.submission_id or arrival.event.id
    with (
        execution_span(handler.task, traceparent=arrival.traceparent, submission_id=identity, side=Side.EVENTS, role=arrival.role) as trace,
        _capture(arrival) as run,
    ):
        if run is not None and run.shadow:
            await asyncio.to_thread(look_up, run, arrival.attempt)
            # The look-up is not the handler's time.
            began = time.perf_counter()
        try:
            value = typed_json.encode(await _invoke(handler, arrival, publisher, circuits, breakers))
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
        if run is not None:
            await run.finish()
    return Attempt(
        arrival=arrival,
        value=value,
        error=error,
        effects=run.effects if run is not None else (),
        effects_dropped=run.effects_dropped if run is not None else 0,
        generated=run.generated_keys if run is not None else (),
        spans=trace.spans,
        spans_dropped=trace.dropped,
        answers_dropped=answers_dropped(run) if run is not None else 0,
        calls_unknown=run.calls_unknown if run is not None else 0,
        calls_unanswered=run.calls_unanswered if run is not None else 0,
        connections_uncaptured=run.connections_uncaptured if run is not None else (),
        recording=run.recorder.recording() if run is not None and run.recorder is not None else None,
        started_at=started_at,
        elapsed_ms=elapsed_ms,
    )


async def _invoke(
    handler: Handler, arrival: Arrival, publisher: EventPublisher, circuits: CircuitGuard, breakers: BreakerBoard | None
) -> object:
    policy = handler.policy
    limit_s = policy.time_limit_s
    context = Context(
        event=arrival.event,
        task=handler.task,
        submission_id=arrival.submission_id,
        role=arrival.role,
        attempt=arrival.attempt,
        ends_at=None if limit_s is None else time.monotonic() + limit_s,
        publisher=publisher,
        breakers=breakers,
    )
    enter(context)
    if policy.breaker is None:
        return await _within_limit(handler, context, limit_s)
    async with circuits.guarding(handler.task, policy.breaker, policy.breaker_counts):
        return await _within_limit(handler, context, limit_s)


async def _within_limit(handler: Handler, context: Context, limit_s: float | None) -> object:
    if limit_s is None:
        return await handler.invoke(context.event, context)
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await handler.invoke(context.event, context)
    except TimeoutError as exc:
        # A TimeoutError of the handler's own, from a client library, is not the limit.
        if limit.expired():
            raise TimeLimitExceeded(limit_s) from exc
        raise


def _is_cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _capture(arrival: Arrival) -> AbstractContextManager[effects.Execution | None]:
    """Capture the effects of a submission; those of an ordinary event are nobody's to compare."""
    if arrival.submission_id is None:
        return _UNCAPTURED
    return effects.execution(
        role=arrival.role,
        side=Side.EVENTS,
        submission_id=arrival.submission_id,
        task=arrival.event.type,
        recorded=arrival.shadowed,
        safety=arrival.safety,
    )
