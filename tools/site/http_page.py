"""The reference of the HTTP API, from its OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.api.application import openapi_document

__all__ = ["http_page", "operations"]

_METHODS = ("get", "put", "post", "patch", "delete")
Operation = Mapping[str, Any]


def http_page() -> str:
    """Each route with what it takes and what it answers."""
    document = openapi_document()
    parts = [
        "# HTTP API\n",
        "A running gateway serves this as OpenAPI at `/openapi.json`, and to try out at `/docs`.\n",
        "Errors are problems (RFC 9457) with a stable `code`.\n",
    ]
    for path, method, operation in operations(document):
        parts += _section(path, method, operation)
    parts.append("## Shapes\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts += _shape(name, schema)
    return "\n".join(parts)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    """Path, method and description of each route, in the order they are declared."""
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, method, methods[method]


def _section(path: str, method: str, operation: Operation) -> Iterator[str]:
    yield f"## {method.upper()} {path}\n"
    yield f"{operation.get('description') or operation['summary']}\n"
    if operation.get("parameters"):
        yield "| parameter | in | type | |\n|---|---|---|---|"
        for parameter in operation["parameters"]:
            must = "required. " if parameter.get("required") else ""
            said = f"{must}{parameter.get('description', '')}"
            yield f"| `{parameter['name']}` | {parameter['in']} | {_type(parameter.get('schema', {}))} | {_cell(said)} |"
        yield ""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Takes `{kind}`: {_type(content.get('schema', {}))}\n"
        example = content.get("example") or next((one.get("value") for one in content.get("examples", {}).values()), None)
        if example is not None:
            yield f"```json\n{json.dumps(example, indent=2)}\n```\n"
    yield "| answer | |\n|---|---|"
    for status, answer in operation["responses"].items():
        yield f"| {status} | {_cell(answer['description'])} |"
    yield ""


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if schema.get("description"):
        yield f"{_cell(schema['description'])}\n"
    if "enum" in schema:
        yield f"One of {', '.join(f'`{value}`' for value in schema['enum'])}.\n"
    if schema.get("properties"):
        required = schema.get("required", ())
        yield "| member | type | |\n|---|---|---|"
        for member, of in schema["properties"].items():
            must = "required. " if member in required else ""
            yield f"| `{member}` | {_type(of)} | {_cell(must + of.get('description', ''))} |"
        yield ""


def _type(schema: Mapping[str, Any] | bool) -> str:
    if isinstance(schema, bool):
        return "any"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{re.sub(r'[^a-z0-9_]+', '-', name.lower()).strip('-')})"
    for joined in ("anyOf", "oneOf", "allOf"):
        if joined in schema:
            return " or ".join(_type(one) for one in schema[joined])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
