"""The OpenAPI document: what FastAPI makes of the routes, with the schemas of the very types they decode."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.api.openapi.described import REF, UNREADABLE, problem
from gateway.api.openapi.tasks import BatchBody

__all__ = ["document"]


def document(app: FastAPI, types: tuple[type, ...]) -> dict[str, Any]:
    """The OpenAPI document of the app, with the schemas of these types."""
    if app.openapi_schema is None:
        _, components = msgspec.json.schema_components([*types, BatchBody], ref_template=REF)
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
                operation["responses"]["422"] = UNREADABLE[422]
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


_REFUSED: dict[str, dict[str, Any]] = {
    "401": problem("No access token, or none that is in force", ("WWW-Authenticate",)),
    "403": problem("A permission is missing, or the task is out of reach"),
    "429": problem("Faster, or more at once, than this token may", ("Retry-After",)),
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
