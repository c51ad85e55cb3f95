"""Reading request bodies: bounded in size and depth, typed, with errors that name the member."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TypeVar

import msgspec
from fastapi import Request

from dualrun.contracts import JsonValue
from gateway.api.audited import keep_for_audit
from gateway.api.problem import BadRequest
from gateway.core.errors import FieldError

__all__ = ["convert", "decode", "invalid", "read_body", "read_bounded"]

T = TypeVar("T")
_JSON_TYPES = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_AT = re.compile(r"^(?P<what>.*?) - at `\$(?P<path>.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, if it is declared as JSON and not larger than `max_bytes`.

    Raises `BadRequest` 415 or 413; a body too large is not read to its end.
    """
    if _JSON_TYPES.fullmatch(request.headers.get("content-type", "").strip()) is None:
        raise BadRequest(415, "unsupported_media_type", "Content-Type must be application/json")
    return await read_bounded(request, max_bytes)


async def read_bounded(request: Request, max_bytes: int) -> bytes:
    """The body, whatever it is declared as. Raises `BadRequest` 413; one too large is not read to its end."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and len(declared) < 20 and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if "audited" in request.scope:
        keep_for_audit(request.scope, body)
    return body


def decode(body: bytes, decoder: msgspec.json.Decoder[T], max_depth: int) -> T:
    """The typed value a body holds.

    Raises `BadRequest` 400 where it is not JSON, 422 where a member is wrong or the nesting is deeper than `max_depth`.
    """
    # Every level costs an opening bracket: only bodies with more of them than the bound can be too deep.
    if body.count(b"[") + body.count(b"{") > max_depth and _depth(body) > max_depth:
        raise BadRequest(422, "too_deep", f"JSON may be nested {max_depth} levels deep")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise invalid(exc) from exc
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise BadRequest(400, "malformed_json", f"the body is not JSON: {exc}") from exc


def convert(value: JsonValue, kind: type[T]) -> T:
    """As `decode`, for a value already taken out of a body."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise invalid(exc) from exc


def invalid(exc: msgspec.ValidationError) -> BadRequest:
    """The problem a validation error is shown as: which member, and what would be right."""
    match = _AT.match(str(exc))
    what, path = (match["what"], match["path"]) if match else (str(exc), "")
    pointer = "".join(f"/{name or index}" for name, index in _STEP.findall(path)) or "/"
    return BadRequest(422, "invalid_body", f"{pointer}: {what}", [FieldError(pointer, what)])


def _too_large(max_bytes: int) -> BadRequest:
    return BadRequest(413, "body_too_large", f"a body may hold {max_bytes:,} bytes")


# Possessive, and without need of its closing quote: a body of quotes alone costs one pass, not one for each of them.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())


def _depth(body: bytes) -> int:
    """How deep the brackets outside strings nest; enough for a bound, whether or not the rest is JSON."""
    brackets = _STRING.sub(b"", body).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
