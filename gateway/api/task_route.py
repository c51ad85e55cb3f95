"""`/v1/tasks`: submit one, submit many, read one back, wait for its result, submit it again, cancel it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from dualrun.contracts import Decision, Outcome, Redirected, Submission
from dualrun.telemetry import submission_span
from gateway.api.body import decode, read_body
from gateway.api.caller import caller_of, require_task
from gateway.api.openapi.tasks import CANCEL_TASK, READ_RESULT, READ_TASK, REPLAY_TASK, SUBMIT, SUBMIT_BATCH
from gateway.api.problem import BadRequest, Problem, problem_of
from gateway.api.services import Services, services_of
from gateway.core.comparison import Comparison
from gateway.core.errors import FieldError, Forbidden, GatewayError
from gateway.core.report import SubmissionView
from gateway.core.request import TaskRequest
from gateway.usecases.submit_task import Accepted, Submitted

__all__ = ["BatchAnswer", "BatchRequest", "BatchResult", "ResultView", "TaskView", "router"]

MAX_BATCH = 1_000
router = APIRouter(tags=["tasks"])
_encode = msgspec.json.Encoder().encode
_request_decoder = msgspec.json.Decoder(TaskRequest)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 1,000 tasks; each is judged by itself."""

    tasks: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class BatchResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer for one task of a batch: as for a single task when it was accepted, its problem when it was refused."""

    status: Literal["accepted", "refused"]
    id: str | None = None
    task: str | None = None
    decision: Decision | None = None
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer for each task of a batch, in order."""

    accepted: int
    refused: int
    results: tuple[BatchResult, ...]


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """One submission: what was asked, decided, done by both roles, and how they compare."""

    submission: Submission
    decision: Decision
    redirected: Redirected | None
    """Where a flag change moved the submission before it started; `decision` is then the one since."""
    authority: Outcome | None
    shadow: Outcome | None
    comparison: Comparison | None


class ResultView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The authority's answer; `state` is `pending` while there is none."""

    id: str
    state: str
    outcome: Outcome | None = None


_batch_decoder = msgspec.json.Decoder(BatchRequest)


@router.post("/tasks", status_code=202, response_class=Response, **SUBMIT)
async def submit(request: Request) -> Response:
    """Accept one task. 202 means that its message is confirmed by the broker and will be run, once, by the side the flag names."""
    services = services_of(request)
    settings = services.settings
    with services.metrics.submit_seconds.time():
        try:
            task = decode(await read_body(request, settings.max_body_bytes), _request_decoder, settings.max_json_depth)
            require_task(request, task.task)
            with submission_span(task.task, _traceparent_of(request)) as traceparent:
                submitted = await services.submit.one(
                    task, idempotency_key=_key_of(request), traceparent=traceparent, header=request.headers.get
                )
        except GatewayError as exc:
            services.metrics.refused(problem_of(exc).code)
            raise
    return _accepted(submitted, services)


@router.post("/tasks/batch", status_code=202, response_class=Response, **SUBMIT_BATCH)
async def submit_batch(request: Request) -> Response:
    """Accept up to 1,000 tasks: a result for each, in order. 202 when any was accepted, 207 never; look at each result."""
    services = services_of(request)
    settings = services.settings
    body = await read_body(request, settings.max_batch_body_bytes)
    # Two levels more than a single task: the batch object and its array.
    batch = decode(body, _batch_decoder, settings.max_json_depth + 2)
    wanted = [_task_of(raw, request, services) for raw in batch.tasks]
    with submission_span("batch", _traceparent_of(request)) as traceparent:
        answers = await services.submit.many(wanted, traceparent=traceparent, header=request.headers.get)
    results = tuple(_judged(answer, services) for answer in answers)
    accepted = sum(result.problem is None for result in results)
    answer = BatchAnswer(accepted=accepted, refused=len(results) - accepted, results=results)
    return Response(_encode(answer), status_code=202, media_type="application/json")


@router.get("/tasks/{submission_id}", response_class=Response, **READ_TASK)
async def read(request: Request, submission_id: str) -> Response:
    """What was asked and decided, what both roles did, and how they compare."""
    view = await services_of(request).read.view(_id_of(submission_id))
    require_task(request, view.submission.task)
    return Response(_encode(_shown(view)), media_type="application/json")


@router.get("/tasks/{submission_id}/result", response_class=Response, **READ_RESULT)
async def result(request: Request, submission_id: str, wait_s: Annotated[float, Query(ge=0, le=60, allow_inf_nan=False)] = 0.0) -> Response:
    """The authority's answer, waited for up to `wait_s` seconds. 202 with state `pending` while there is none."""
    services = services_of(request)
    await _within_reach(request, submission_id)
    outcome = await services.read.result(_id_of(submission_id), min(wait_s, services.settings.max_wait_s))
    shown = ResultView(id=submission_id, state="pending" if outcome is None else outcome.state.value, outcome=outcome)
    return Response(_encode(shown), status_code=202 if outcome is None else 200, media_type="application/json")


@router.post("/tasks/{submission_id}/replay", status_code=202, response_class=Response, **REPLAY_TASK)
async def replay(request: Request, submission_id: str) -> Response:
    """Submit the same arguments once more: a new submission, decided by the flags of now, without the earlier one's eta and expiry."""
    services = services_of(request)
    await _within_reach(request, submission_id)
    return _accepted(await services.submit_again.submit(_id_of(submission_id), idempotency_key=_key_of(request)), services)


@router.delete("/tasks/{submission_id}", status_code=202, response_class=Response, **CANCEL_TASK)
async def cancel(request: Request, submission_id: str) -> Response:
    """Have it not run any more, on either side. 202 says what each was asked; the outcome, `revoked` or another, says who was faster."""
    await _within_reach(request, submission_id)
    cancelled = await services_of(request).cancel.one(_id_of(submission_id))
    headers = {"Location": f"/v1/tasks/{cancelled.id}"}
    return Response(_encode(cancelled), status_code=202, media_type="application/json", headers=headers)


def _accepted(submitted: Submitted, services: Services) -> Response:
    services.metrics.accepted(submitted.accepted.task, submitted.accepted.decision)
    headers = {"Location": f"/v1/tasks/{submitted.accepted.id}"}
    if submitted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(_encode(submitted.accepted), status_code=202, media_type="application/json", headers=headers)


async def _within_reach(request: Request, submission_id: str) -> None:
    """Raises `Forbidden` where the submission's task is out of the caller's reach; only callers with a reach are looked up for."""
    if caller_of(request).is_scoped:
        require_task(request, (await services_of(request).read.view(_id_of(submission_id))).submission.task)


def _task_of(raw: msgspec.Raw, request: Request, services: Services) -> TaskRequest | GatewayError:
    try:
        if len(raw) > services.settings.max_body_bytes:
            raise BadRequest(413, "body_too_large", f"one task may hold {services.settings.max_body_bytes:,} bytes")
        task = decode(bytes(raw), _request_decoder, services.settings.max_json_depth)
        require_task(request, task.task)
        return task
    except (BadRequest, Forbidden) as exc:
        return exc


def _judged(answer: Accepted | GatewayError, services: Services) -> BatchResult:
    if isinstance(answer, GatewayError):
        problem = problem_of(answer)
        services.metrics.refused(problem.code)
        return BatchResult(status="refused", problem=problem)
    services.metrics.accepted(answer.task, answer.decision)
    return BatchResult(status="accepted", id=answer.id, task=answer.task, decision=answer.decision)


def _shown(view: SubmissionView) -> TaskView:
    return TaskView(
        submission=view.submission,
        decision=view.decision,
        redirected=view.redirected,
        authority=view.authority,
        shadow=view.shadow,
        comparison=view.comparison,
    )


def _id_of(text: str) -> str:
    if len(text) > 64 or not text.isascii() or not text.isprintable():
        raise BadRequest(422, "invalid_parameter", "/submission_id: not an id", [FieldError("/submission_id", "is a UUID")])
    return text


def _key_of(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and _KEY.fullmatch(key) is None:
        hint = "1 to 255 visible ASCII characters"
        raise BadRequest(422, "invalid_header", f"Idempotency-Key: {hint}", [FieldError("/headers/Idempotency-Key", hint)])
    return key


def _traceparent_of(request: Request) -> str | None:
    traceparent = request.headers.get("traceparent")
    return traceparent if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) else None
