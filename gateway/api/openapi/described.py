"""What the descriptions of all routes are made of: bodies, answers and problems, and those that many routes have in common."""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = [
    "EXAMPLE_PROBLEM",
    "IDEMPOTENCY_KEY",
    "IF_MATCH",
    "LEDGER_AWAY",
    "REF",
    "TRACEPARENT",
    "UNAVAILABLE",
    "UNREADABLE",
    "Described",
    "answer",
    "body",
    "problem",
]

# Where a schema stands in the document.
REF = "#/components/schemas/{name}"


class Described(TypedDict, total=False):
    """Keyword arguments of a FastAPI route."""

    # FastAPI's own types for both: the document is free-form JSON.
    openapi_extra: dict[str, Any]
    responses: dict[int | str, dict[str, Any]]


EXAMPLE_PROBLEM = {
    "type": "https://dualrun.dev/problems/unknown_task",
    "title": "No worker serves this task",
    "status": 404,
    "code": "unknown_task",
    "detail": "no worker serves a task named 'order.send_confirmation'; did you mean order.send_order_confirmation?",
    "nearest": ["order.send_order_confirmation"],
}


def body(schema: str, example: object, *, is_required: bool = True) -> dict[str, Any]:
    """The extra of a route that takes JSON of this schema."""
    content = {"application/json": {"schema": {"$ref": REF.format(name=schema)}, "example": example}}
    return {"requestBody": {"required": is_required, "content": content}}


def answer(text: str, schema: str, example: object | None = None, headers: tuple[str, ...] = ()) -> dict[str, Any]:
    """An answer in JSON of this schema, with the names of headers it bears."""
    content: dict[str, Any] = {"schema": {"$ref": REF.format(name=schema)}}
    if example is not None:
        content["example"] = example
    described: dict[str, Any] = {"description": text, "content": {"application/json": content}}
    if headers:
        described["headers"] = {name: {"schema": {"type": "string"}} for name in headers}
    return described


def problem(text: str, headers: tuple[str, ...] = ()) -> dict[str, Any]:
    """An answer that is a problem (RFC 9457), with the names of headers it bears."""
    described = answer(text, "Problem", EXAMPLE_PROBLEM, headers)
    described["content"] = {"application/problem+json": described["content"]["application/json"]}
    return described


def _header(name: str, text: str, schema: dict[str, object]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "Repeating a request with the same key runs the task once and answers the same.",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
)
TRACEPARENT = _header("traceparent", "W3C trace context; both sides' spans become its children.", {"type": "string"})
IF_MATCH = _header("If-Match", "The ETag of the flags you read: refused with 409 when they have changed since.", {"type": "string"})
UNREADABLE: dict[int | str, dict[str, Any]] = {
    400: problem("The body is not JSON"),
    413: problem("The body is too large"),
    415: problem("The body is not declared as JSON"),
    422: problem("A member is wrong: `errors` says which, and what would be right"),
}
UNAVAILABLE = problem("Not accepted: nothing is lost, repeat it with the same Idempotency-Key", ("Retry-After",))
LEDGER_AWAY = problem("The ledger is out of reach", ("Retry-After",))
