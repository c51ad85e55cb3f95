"""What the OpenAPI document says of bodies and answers: schemas from the very types the routes decode, and examples to paste.

The routes read bytes and write bytes; FastAPI is told here what they hold.
"""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.core.request import TaskRequest

__all__ = [
    "CANCEL_TASK",
    "CREATE_TOKEN",
    "DISCARD_DEAD_LETTER",
    "HOLD",
    "PROMOTE",
    "READ_AUDIT",
    "READ_BREAKERS",
    "READ_DEAD_LETTER",
    "READ_DEAD_LETTERS",
    "READ_DIFFERENCE",
    "READ_DIFFERENCES",
    "READ_DOCTOR",
    "READ_EVENTS",
    "READ_FLAG",
    "READ_FLAGS",
    "READ_FLAG_HISTORY",
    "READ_FLAG_VERSION",
    "READ_GATE",
    "READ_INSTALLATION",
    "READ_IN_FLIGHT",
    "READ_REPORT",
    "READ_RESULT",
    "READ_TASK",
    "READ_TOKENS",
    "REPLAY_DEAD_LETTER",
    "REPLAY_TASK",
    "REVOKE_TOKEN",
    "ROLL_BACK",
    "SET_FLAG",
    "SET_FLAGS",
    "SUBMIT",
    "SUBMIT_BATCH",
    "TRIAGE_DIFFERENCE",
    "document",
]

_REF = "#/components/schemas/{name}"
_EXAMPLE_ID = "019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11"
_DECISION = {
    "mode": "shadow",
    "authority": "legacy",
    "shadow": "events",
    "reason": "by_mode",
    "bucket": None,
    "flag_version": 3,
    "rule": None,
}
_ACCEPTED = {"id": _EXAMPLE_ID, "task": "order.send_order_confirmation", "decision": _DECISION, "status": "accepted"}
_TASK = {"task": "order.send_order_confirmation", "args": [42, "ann@example.org"]}
_PROBLEM = {
    "type": "https://dualrun.dev/problems/unknown_task",
    "title": "No worker serves this task",
    "status": 404,
    "code": "unknown_task",
    "detail": "no worker serves a task named 'order.send_confirmation'; did you mean order.send_order_confirmation?",
    "nearest": ["order.send_order_confirmation"],
}


_BATCH_ANSWER = {"accepted": 1, "refused": 1, "results": [_ACCEPTED, {"status": "refused", "problem": _PROBLEM}]}


class Described(TypedDict, total=False):
    """Keyword arguments of a FastAPI route."""

    # FastAPI's own types for both: the document is free-form JSON.
    openapi_extra: dict[str, Any]
    responses: dict[int | str, dict[str, Any]]


class BatchBody(msgspec.Struct, frozen=True):
    """Up to 1,000 tasks; each is judged by itself."""

    tasks: Annotated[tuple[TaskRequest, ...], msgspec.Meta(min_length=1, max_length=1_000)]


def _body(schema: str, example: object) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=schema)}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _answer(text: str, schema: str, example: object | None = None, headers: tuple[str, ...] = ()) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": _REF.format(name=schema)}}
    if example is not None:
        content["example"] = example
    answer: dict[str, Any] = {"description": text, "content": {"application/json": content}}
    if headers:
        answer["headers"] = {name: {"schema": {"type": "string"}} for name in headers}
    return answer


def _problem(text: str, headers: tuple[str, ...] = ()) -> dict[str, Any]:
    answer = _answer(text, "Problem", _PROBLEM, headers)
    answer["content"] = {"application/problem+json": answer["content"]["application/json"]}
    return answer


def _header(name: str, text: str, schema: dict[str, object]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


_KEY = _header(
    "Idempotency-Key",
    "Repeating a request with the same key runs the task once and answers the same.",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
)
_TRACEPARENT = _header("traceparent", "W3C trace context; both sides' spans become its children.", {"type": "string"})
_IF_MATCH = _header("If-Match", "The ETag of the flags you read: refused with 409 when they have changed since.", {"type": "string"})
_UNREADABLE: dict[int | str, dict[str, Any]] = {
    400: _problem("The body is not JSON"),
    413: _problem("The body is too large"),
    415: _problem("The body is not declared as JSON"),
    422: _problem("A member is wrong: `errors` says which, and what would be right"),
}
_UNAVAILABLE = _problem("Not accepted: nothing is lost, repeat it with the same Idempotency-Key", ("Retry-After",))

SUBMIT = Described(
    openapi_extra={**_body("TaskRequest", _TASK), "parameters": [_KEY, _TRACEPARENT]},
    responses={
        202: _answer("Accepted: confirmed by the broker", "Accepted", _ACCEPTED, ("Location",)),
        404: _problem("No worker serves a task of that name"),
        409: _problem("The idempotency key is taken"),
        **_UNREADABLE,
        503: _UNAVAILABLE,
    },
)
SUBMIT_BATCH = Described(
    openapi_extra={**_body("BatchBody", {"tasks": [_TASK, {"task": "learning.add", "args": [2, 3]}]}), "parameters": [_TRACEPARENT]},
    responses={
        202: _answer("A result for each task, in order", "BatchAnswer", _BATCH_ANSWER),
        **_UNREADABLE,
    },
)
READ_TASK = Described(responses={200: _answer("What is known", "TaskView"), 404: _problem("No such submission"), 422: _UNREADABLE[422]})
_CANCELLED = {
    "id": _EXAMPLE_ID,
    "task": "order.send_order_confirmation",
    "decision": _DECISION,
    "asked": [
        {"side": "legacy", "role": "authority", "asked": True, "detail": "Celery's workers that are up were told to revoke it"},
        {"side": "events", "role": "shadow", "asked": True, "detail": "its workers were told through their inbox"},
    ],
}
REPLAY_TASK = Described(
    openapi_extra={"parameters": [_KEY]},
    responses={
        202: _answer("Accepted as a new submission: confirmed by the broker", "Accepted", _ACCEPTED, ("Location",)),
        404: _problem("No such submission, or no worker serves its task any more"),
        409: _problem("Secrets in its arguments were not kept, or the idempotency key is taken"),
        422: _UNREADABLE[422],
        503: _UNAVAILABLE,
    },
)
CANCEL_TASK = Described(
    responses={
        202: _answer("Asked for: the outcome tells whether it was in time", "Cancelled", _CANCELLED, ("Location",)),
        404: _problem("No such submission"),
        409: _problem("The authority has already ended"),
        422: _UNREADABLE[422],
        503: _problem("The authority's side is out of reach: nobody knows whether it will run, so repeat it", ("Retry-After",)),
    }
)
READ_RESULT = Described(
    responses={
        200: _answer("The authority's outcome", "ResultView"),
        202: _answer("None yet", "ResultView", {"id": _EXAMPLE_ID, "state": "pending"}),
        404: _problem("No such submission"),
        422: _UNREADABLE[422],
    }
)
READ_EVENTS = Described(
    responses={
        200: {
            "description": "`id:` where to go on, `event:` the type, `data:` a notice",
            "content": {"text/event-stream": {"schema": {"$ref": _REF.format(name="Notice")}}},
        },
        422: _UNREADABLE[422],
        503: _problem("Redis is out of reach", ("Retry-After",)),
    },
)
READ_FLAGS = Described(responses={200: _answer("All flags in force", "FlagsView", headers=("ETag",))})
READ_FLAG = Described(responses={200: _answer("The flag in force", "FlagView", headers=("ETag",)), 404: _problem("No flag names the task")})
SET_FLAG = Described(
    openapi_extra={
        **_body("FlagBody", {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed", "reason": "first look"}),
        "parameters": [_IF_MATCH],
    },
    responses={
        200: _answer("In force, on every gateway", "FlagSetView", headers=("ETag",)),
        409: _problem("The safety class forbids a shadow, its gate is not passed, or somebody else was first"),
        **_UNREADABLE,
        503: _UNAVAILABLE,
    },
)
_FLAG_CHANGE = {
    "task": "order.send_order_confirmation",
    "kind": "changed",
    "members": [{"member": "shadow_percent", "before": 5.0, "after": 100.0}],
}
_VERSION = {
    "version": 7,
    "changed_at": "2026-11-21T09:00:00Z",
    "author": "ann",
    "reason": "a day without differences",
    "source": "cli",
    "compared_with": 6,
    "changes": [_FLAG_CHANGE],
}
_FLAGS = {"flags": {"order.send_order_confirmation": {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed"}}, "author": "ann"}
SET_FLAGS = Described(
    openapi_extra={**_body("FlagsBody", _FLAGS), "parameters": [_IF_MATCH]},
    responses={
        200: _answer(
            "In force, on every gateway; or what would be", "FlagsChangeView", {"version": 7, "changes": [_FLAG_CHANGE]}, ("ETag",)
        ),
        409: _problem("The safety class forbids a shadow, a gate is not passed, or somebody else was first"),
        428: _problem("If-Match is missing"),
        **_UNREADABLE,
        503: _UNAVAILABLE,
    },
)
READ_FLAG_HISTORY = Described(
    responses={
        200: _answer("Versions, newest first", "HistoryView", {"versions": [_VERSION], "next_cursor": 7}),
        422: _UNREADABLE[422],
        503: _UNAVAILABLE,
    }
)
READ_FLAG_VERSION = Described(
    responses={
        200: _answer("The version", "VersionView"),
        404: _problem("No such version is kept"),
        422: _UNREADABLE[422],
        503: _UNAVAILABLE,
    }
)
_IN_FLIGHT = {"redirected": 990, "scheduled": 6, "started": 4, "kept": 0, "waiting": 0, "workers": 2, "complete": True}
READ_IN_FLIGHT = Described(
    responses={200: _answer("The counts", "InFlightView", {"version": 8, "in_flight": _IN_FLIGHT}), 422: _UNREADABLE[422]}
)
_ROLLED_BACK = {
    "version": 8,
    "changed": True,
    "changes": [
        {
            "task": "order.send_order_confirmation",
            "kind": "changed",
            "members": [{"member": "mode", "before": "events", "after": "legacy"}],
        }
    ],
    "stored": True,
    "in_flight": _IN_FLIGHT,
}
_ROLLBACK_BODY = _body("RollbackBody", {"author": "ann", "reason": "double mails"})
_ROLLBACK_BODY["requestBody"]["required"] = False
ROLL_BACK = Described(
    openapi_extra=_ROLLBACK_BODY,
    responses={
        200: _answer("In force, on every gateway", "RollbackView", _ROLLED_BACK, ("ETag",)),
        404: _problem("No flag names the task, or no such version is kept"),
        409: _problem("The flags are changed by file alone"),
        **_UNREADABLE,
        503: _problem("The flag store is out of reach, and nothing is known to have changed: repeat it", ("Retry-After",)),
    },
)
_STEP = {"name": "canary 10 %", "mode": "canary", "percent": 10.0}
_PROMOTED = {"version": 8, "step": _STEP, "changed": True, "changes": [_FLAG_CHANGE], "in_flight": None}
READ_GATE = Described(
    responses={
        200: _answer("Where the task stands", "GateView", headers=("ETag",)),
        404: _problem("No flag names the task"),
        422: _UNREADABLE[422],
        503: _problem("A store is out of reach: nothing is known, so the task stays where it is", ("Retry-After",)),
    }
)
_PROMOTE_BODY = _body("PromoteBody", {"author": "ann", "reason": "a week without differences"})
_PROMOTE_BODY["requestBody"]["required"] = False
PROMOTE = Described(
    openapi_extra=_PROMOTE_BODY,
    responses={
        200: _answer("In force, on every gateway", "PromotedView", _PROMOTED, ("ETag",)),
        404: _problem("No flag names the task"),
        409: _problem("Not proven, too far, held, nobody there to run it, or somebody else was first"),
        **_UNREADABLE,
        503: _UNAVAILABLE,
    },
)
_HOLD_BODY = _body("HoldBody", {"author": "ann", "reason": "stock-taking"})
_HOLD_BODY["requestBody"]["required"] = False
HOLD = Described(
    openapi_extra=_HOLD_BODY,
    responses={
        200: _answer("In force, on every gateway", "PromotedView", {**_PROMOTED, "changes": []}, ("ETag",)),
        404: _problem("No flag names the task"),
        409: _problem("Somebody else was first, or the flags are changed by file alone"),
        **_UNREADABLE,
        503: _UNAVAILABLE,
    },
)
_LEDGER_AWAY = _problem("The ledger is out of reach", ("Retry-After",))
_NO_DEAD_LETTER = _problem("No such dead letter")
_DEAD_LETTERS_AWAY = _problem("The broker is out of reach: nothing is known to have changed", ("Retry-After",))
READ_DEAD_LETTERS = Described(
    responses={
        200: _answer("What the service could not deal with", "DeadLettersView"),
        404: _problem("No such service"),
        422: _UNREADABLE[422],
        503: _DEAD_LETTERS_AWAY,
    }
)
READ_DEAD_LETTER = Described(
    responses={200: _answer("All of it", "DeadLetter"), 404: _NO_DEAD_LETTER, 422: _UNREADABLE[422], 503: _DEAD_LETTERS_AWAY}
)
REPLAY_DEAD_LETTER = Described(
    responses={
        200: _answer("It is in its queue again", "DeadLetter"),
        404: _NO_DEAD_LETTER,
        422: _UNREADABLE[422],
        503: _DEAD_LETTERS_AWAY,
    }
)
DISCARD_DEAD_LETTER = Described(
    openapi_extra=_body("DiscardBody", {"reason": "a test order", "author": "ann"}),
    responses={200: _answer("It is gone", "DeadLetter"), 404: _NO_DEAD_LETTER, **_UNREADABLE, 503: _DEAD_LETTERS_AWAY},
)
_BREAKER = {
    "service": "shop",
    "name": "payment.process",
    "state": "open",
    "failures": 5,
    "failures_max": 5,
    "open_s": 12.5,
    "opened_at": "2026-11-21T09:00:00Z",
    "used_at": "2026-11-21T09:00:17Z",
}
READ_BREAKERS = Described(
    responses={
        200: _answer("How they stand", "BreakersView", {"breakers": [_BREAKER]}),
        422: _UNREADABLE[422],
        503: _problem("Redis is out of reach: how they stand is not known", ("Retry-After",)),
    }
)
READ_INSTALLATION = Described(responses={200: _answer("What was looked at, and what to do", "Installation")})
READ_DOCTOR = Described(
    responses={
        200: _answer("What was observed, and what it means", "Readiness"),
        404: _problem("Nobody serves it, and it was never submitted"),
        503: _LEDGER_AWAY,
    }
)
_NO_DIFFERENCE = _problem("No such difference group")
READ_DIFFERENCES = Described(responses={200: _answer("The groups", "DifferencesView"), 422: _UNREADABLE[422], 503: _LEDGER_AWAY})
READ_DIFFERENCE = Described(
    responses={200: _answer("The group", "DifferenceView"), 404: _NO_DIFFERENCE, 422: _UNREADABLE[422], 503: _LEDGER_AWAY}
)
TRIAGE_DIFFERENCE = Described(
    openapi_extra=_body("TriageBody", {"triage": "known", "author": "ann", "note": "SHOP-123"}),
    responses={200: _answer("The group as it now stands", "DifferenceView"), 404: _NO_DIFFERENCE, **_UNREADABLE, 503: _LEDGER_AWAY},
)
_REPORT_KINDS = ("application/json", "text/markdown", "text/html", "text/csv", "application/xml")
READ_REPORT = Described(
    responses={
        200: {"description": "The report", "content": {kind: {} for kind in _REPORT_KINDS}},
        422: _UNREADABLE[422],
    }
)

READ_AUDIT = Described(responses={200: _answer("Entries, newest first", "AuditView"), 422: _UNREADABLE[422], 503: _LEDGER_AWAY})
_TOKENS_AWAY = _problem("Redis is out of reach: nothing has changed", ("Retry-After",))
_TOKEN = {
    "id": "9f2c41d07a3e",
    "name": "checkout service",
    "permissions": ["submit"],
    "tasks": ["order.*"],
    "created_at": "2026-11-21T09:00:00Z",
    "created_by": "environment",
    "expires_at": None,
    "rate_per_s": None,
}
READ_TOKENS = Described(responses={200: _answer("Without their secrets", "TokensView", {"tokens": [_TOKEN]}), 503: _TOKENS_AWAY})
CREATE_TOKEN = Described(
    openapi_extra=_body("TokenBody", {"name": "checkout service", "permissions": ["submit"], "tasks": ["order.*"]}),
    responses={201: _answer("The token: it is shown this once", "TokenCreatedView"), **_UNREADABLE, 503: _TOKENS_AWAY},
)
REVOKE_TOKEN = Described(
    responses={200: _answer("It is refused from now on", "TokenView", _TOKEN), 404: _problem("No such token"), 503: _TOKENS_AWAY}
)


def document(app: FastAPI, types: tuple[type, ...]) -> dict[str, Any]:
    """The OpenAPI document of the app, with the schemas of these types."""
    if app.openapi_schema is None:
        _, components = msgspec.json.schema_components([*types, BatchBody], ref_template=_REF)
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
        _drop_framework_answers(schema)
        _add_access(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _drop_framework_answers(schema: dict[str, Any]) -> None:
    """FastAPI documents its own 422; ours is a problem like every other."""
    for path in schema["paths"].values():
        for operation in path.values():
            answer = operation.get("responses", {}).get("422")
            if answer is not None and "application/problem+json" not in answer.get("content", {}):
                operation["responses"]["422"] = _UNREADABLE[422]
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


_REFUSED: dict[str, dict[str, Any]] = {
    "401": _problem("No access token, or none that is in force", ("WWW-Authenticate",)),
    "403": _problem("A permission is missing, or the task is out of reach"),
    "429": _problem("Faster, or more at once, than this token may", ("Retry-After",)),
}


def _add_access(schema: dict[str, Any]) -> None:
    """Where access control is on, every route below /v1 asks for a token."""
    schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in schema["paths"].items():
        if path.startswith("/v1/"):
            for operation in operations.values():
                # The empty one: none is needed where access control is off.
                operation["security"] = [{"token": []}, {}]
                operation["responses"] = {**_REFUSED, **operation["responses"]}
