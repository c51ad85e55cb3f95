"""What a caller asks for: one task to run, before it has an id and a decision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, field

from dualrun.contracts import JsonObject, JsonValue, Options, Submission
from gateway.core.errors import FieldError, InvalidOptions

__all__ = ["MAX_DELAY_S", "TaskRequest", "submission_of"]

MAX_DELAY_S = 366 * 24 * 3600
"""The farthest a task may be put off: what both sides' brokers can hold with certainty."""

_TaskName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.:\-]+$", description="Celery name of the task.")]
_Queue = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.:@\-]+$", description="Legacy queue; None: Celery's routes.")
]
_CohortKey = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="What percentages are dealt by.")
]
_AttributeName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
_Attributes = Annotated[
    dict[_AttributeName, Annotated[str, Meta(max_length=256)] | bool | int | float],
    Meta(max_length=32, description="What targeting rules may look at beside the arguments; the task does not get it."),
]
_Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset.")]
_Seconds = Annotated[float, Meta(ge=0, le=MAX_DELAY_S, description="Seconds from now.")]
_Priority = Annotated[int, Meta(ge=0, le=9, description="9 goes first, on RabbitMQ and on Redis alike.")]


class TaskRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One task to run."""

    task: _TaskName
    args: tuple[JsonValue, ...] = ()
    kwargs: JsonObject = field(default_factory=dict)
    eta: _Instant | None = None
    countdown: _Seconds | None = None
    expires: _Instant | _Seconds | None = None
    priority: _Priority | None = None
    queue: _Queue | None = None
    cohort_key: _CohortKey | None = None
    attributes: _Attributes = field(default_factory=dict)


def submission_of(
    request: TaskRequest, *, submission_id: str, now: datetime, traceparent: str | None, cohort_key: str | None = None
) -> Submission:
    """The submission a request becomes: countdown and seconds turned into instants, the cohort key settled.

    `cohort_key` is what the flag says it is dealt by: then that holds, whatever the caller gave.

    Raises `InvalidOptions` naming the field where the times contradict one another.
    """
    options = Options() if _plain(request) else _options(request, now)
    return Submission(
        id=submission_id,
        task=request.task,
        args=request.args,
        kwargs=request.kwargs,
        options=options,
        cohort_key=cohort_key or request.cohort_key or submission_id,
        attributes=request.attributes,
        submitted_at=now,
        traceparent=traceparent,
    )


def _plain(request: TaskRequest) -> bool:
    timed = (request.eta, request.countdown, request.expires, request.priority, request.queue)
    return all(option is None for option in timed)


def _options(request: TaskRequest, now: datetime) -> Options:
    if request.eta is not None and request.countdown is not None:
        raise InvalidOptions([FieldError("/countdown", "give eta or countdown, not both")])
    eta = _instant(request.eta if request.countdown is None else request.countdown, now, "/eta")
    expires = _instant(request.expires, now, "/expires")
    if expires is not None and expires <= (eta or now):
        raise InvalidOptions([FieldError("/expires", "must be later than now and later than the eta")])
    return Options(eta=eta, expires=expires, priority=request.priority, queue=request.queue)


def _instant(value: datetime | float | None, now: datetime, pointer: str) -> datetime | None:
    if value is None:
        return None
    try:
        instant = value.astimezone(UTC) if isinstance(value, datetime) else now + timedelta(seconds=value)
    except OverflowError as exc:
        raise InvalidOptions([FieldError(pointer, "lies outside the years 1 to 9999")]) from exc
    if instant - now > timedelta(seconds=MAX_DELAY_S):
        raise InvalidOptions([FieldError(pointer, f"lies more than {MAX_DELAY_S // 86_400} days ahead")])
    return instant
