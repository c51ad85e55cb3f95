"""Errors as RFC 9457 problems: one table from error to status and stable `code`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.core.errors import (
    AccessDenied,
    AlreadyEnded,
    ArgumentsRedacted,
    CancelFailed,
    DispatchFailed,
    FieldError,
    FlagConflict,
    FlagHeld,
    FlagRejected,
    FlagsByFile,
    FlagsByOpenFeature,
    Forbidden,
    GatewayError,
    IdempotencyConflict,
    InvalidArguments,
    InvalidOptions,
    NotFound,
    NotProven,
    NotServed,
    RulesElsewhere,
    RulesRejected,
    StepRefused,
    StoreUnavailable,
    TooManyRequests,
    Unauthenticated,
    UnknownTask,
    UnsafeShadow,
)

__all__ = ["BadRequest", "Problem", "ProblemError", "add_problem_handlers", "problem_of", "response_of"]

MEDIA_TYPE = "application/problem+json"
_TYPE_BASE = "https://dualrun.dev/problems/"


class ProblemError(msgspec.Struct, frozen=True):
    """One field, and what would be right."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details; `code` is stable and meant for programs."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: tuple[ProblemError, ...] = ()
    nearest: tuple[str, ...] = ()
    current_version: int | None = None


class BadRequest(GatewayError):
    """The request cannot be read: malformed JSON, wrong type, unknown member, too large, too deep."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class _Kind:
    status: int
    code: str
    title: str
    retry_after_s: int | None = None


# The most specific class first: the first match decides.
_KINDS: Mapping[type[GatewayError], _Kind] = {
    UnknownTask: _Kind(404, "unknown_task", "No worker serves this task"),
    InvalidArguments: _Kind(422, "invalid_arguments", "The task does not take these arguments"),
    InvalidOptions: _Kind(422, "invalid_options", "The options cannot be honoured"),
    ArgumentsRedacted: _Kind(409, "arguments_redacted", "Secrets in its arguments were not kept"),
    IdempotencyConflict: _Kind(409, "idempotency_conflict", "The idempotency key is taken"),
    UnsafeShadow: _Kind(409, "unsafe_shadow", "The safety class forbids a shadow"),
    FlagsByFile: _Kind(409, "flags_by_file", "Only the flags file may change flags"),
    StepRefused: _Kind(409, "step_refused", "One step forward at a time"),
    FlagHeld: _Kind(409, "flag_held", "The task is held where it is"),
    NotServed: _Kind(409, "side_not_served", "Nobody there to run the task"),
    NotProven: _Kind(409, "not_proven", "The evidence does not allow the step"),
    FlagsByOpenFeature: _Kind(409, "flags_by_openfeature", "Flags are changed at the OpenFeature provider"),
    RulesElsewhere: _Kind(409, "rules_elsewhere", "Rules are not written by this gateway"),
    RulesRejected: _Kind(422, "invalid_rule", "The rule cannot be used"),
    FlagConflict: _Kind(409, "flag_conflict", "Somebody else changed the flags first"),
    FlagRejected: _Kind(422, "invalid_flag", "The flag cannot be set"),
    DispatchFailed: _Kind(503, "side_unavailable", "The task was not accepted", retry_after_s=2),
    AlreadyEnded: _Kind(409, "already_ended", "There is nothing left to cancel"),
    CancelFailed: _Kind(503, "cancel_failed", "A side could not be asked to cancel", retry_after_s=2),
    StoreUnavailable: _Kind(503, "store_unavailable", "A store is out of reach", retry_after_s=2),
    Unauthenticated: _Kind(401, "unauthenticated", "Who are you?"),
    Forbidden: _Kind(403, "forbidden", "This is not allowed"),
    TooManyRequests: _Kind(429, "too_many_requests", "Too fast"),
    NotFound: _Kind(404, "not_found", "Nothing of that name"),
}
_UNEXPECTED = _Kind(500, "internal_error", "Something went wrong here")
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 406: "not_acceptable", 415: "unsupported_media_type"}


def problem_of(error: GatewayError) -> Problem:
    """The problem an error is shown as."""
    if isinstance(error, BadRequest):
        return _problem(_Kind(error.status, error.code, "The request cannot be read"), str(error), error.errors)
    problem = _problem(_kind_of(error), str(error), getattr(error, "errors", ()))
    if isinstance(error, Forbidden):
        return msgspec.structs.replace(problem, code=error.code, type=_TYPE_BASE + error.code)
    if isinstance(error, UnknownTask):
        return msgspec.structs.replace(problem, nearest=error.nearest)
    if isinstance(error, FlagConflict):
        return msgspec.structs.replace(problem, current_version=error.current_version)
    if isinstance(error, IdempotencyConflict) and error.in_progress:
        return msgspec.structs.replace(problem, code="idempotency_in_progress")
    return problem


def response_of(error: GatewayError) -> Response:
    """The HTTP answer for an error."""
    problem = problem_of(error)
    return Response(msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=_headers_of(error, problem))


def _headers_of(error: GatewayError, problem: Problem) -> dict[str, str] | None:
    if isinstance(error, AccessDenied):
        if isinstance(error, TooManyRequests):
            return {"Retry-After": str(error.retry_after_s)}
        return {"WWW-Authenticate": 'Bearer realm="dualrun"'} if isinstance(error, Unauthenticated) else None
    if isinstance(error, FlagConflict):
        return {"ETag": f'"{error.current_version}"'}
    if problem.code == "idempotency_in_progress":
        return {"Retry-After": "1"}
    return {"Retry-After": str(retry)} if (retry := _kind_of(error).retry_after_s) is not None else None


def add_problem_handlers(app: FastAPI) -> None:
    """Show every error of the gateway, and the framework's own, as a problem."""
    app.add_exception_handler(GatewayError, _on_gateway_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


async def _on_gateway_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, GatewayError)
    return response_of(exc)


async def _on_http_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    kind = _Kind(exc.status_code, _HTTP_CODES.get(exc.status_code, "http_error"), str(exc.detail))
    return Response(
        msgspec.json.encode(_problem(kind, str(exc.detail))), status_code=exc.status_code, media_type=MEDIA_TYPE, headers=exc.headers
    )


async def _on_validation_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = [FieldError("/" + "/".join(str(part) for part in error["loc"]), str(error["msg"])) for error in exc.errors()]
    return response_of(BadRequest(422, "invalid_parameter", "; ".join(map(repr, errors)), errors))


def _kind_of(error: GatewayError) -> _Kind:
    return next((kind for cls, kind in _KINDS.items() if isinstance(error, cls)), _UNEXPECTED)


def _problem(kind: _Kind, detail: str, errors: Sequence[FieldError] = ()) -> Problem:
    return Problem(
        type=_TYPE_BASE + kind.code,
        title=kind.title,
        status=kind.status,
        code=kind.code,
        detail=detail,
        errors=tuple(ProblemError(error.pointer, error.detail) for error in errors),
    )
