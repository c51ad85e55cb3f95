"""`/v1/flags`: read the flags in force, set one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from dualrun.contracts import Mode, Safety
from gateway.api import openapi
from gateway.api.body import decode, read_body
from gateway.api.problem import BadRequest
from gateway.api.services import services_of
from gateway.core.errors import FieldError, FlagRejected, NotFound
from gateway.core.flags import HASH_VERSION, Flag, FlagSnapshot, percent_of, share_of

__all__ = ["FlagBody", "FlagView", "FlagsView", "router"]

router = APIRouter(tags=["flags"])
_encode = msgspec.json.Encoder().encode
_Percent = Annotated[float, msgspec.Meta(ge=0, le=100, description="0 to 100 in steps of 0.001.")]
_TASK = re.compile(r"[A-Za-z0-9_.:*?\[\]\-]{1,200}")
_ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')


class FlagBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole flag; a member left out has its default."""

    mode: Mode
    events_percent: _Percent = 0
    shadow_percent: _Percent = 0
    safety: Safety = Safety.UNSAFE
    salt: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    hash_version: int = HASH_VERSION
    author: Annotated[str, msgspec.Meta(max_length=200)] = "api"
    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class FlagView(msgspec.Struct, frozen=True, kw_only=True):
    """A flag in force."""

    task: str
    mode: Mode
    events_percent: float
    shadow_percent: float
    safety: Safety
    salt: str
    hash_version: int
    version: int
    """Of all flags together."""


class FlagsView(msgspec.Struct, frozen=True, kw_only=True):
    """All flags in force."""

    version: int
    changed_at: datetime
    author: str
    reason: str
    source: str
    flags: Mapping[str, FlagView]


_decoder = msgspec.json.Decoder(FlagBody)


@router.get("/flags", response_class=Response, **openapi.READ_FLAGS)
async def read_all(request: Request) -> Response:
    """Every flag in force; the ETag is their version."""
    snapshot = services_of(request).flags.snapshot
    flags = {task: view_of(flag, snapshot) for task, flag in sorted(snapshot.flags.items())}
    view = FlagsView(
        version=snapshot.version,
        changed_at=snapshot.changed_at,
        author=snapshot.author,
        reason=snapshot.reason,
        source=snapshot.source,
        flags=flags,
    )
    return _answer(view, snapshot)


@router.get("/flags/{task}", response_class=Response, **openapi.READ_FLAG)
async def read_one(request: Request, task: str) -> Response:
    """The flag in force for a task: its own, or the longest glob that matches it."""
    snapshot = services_of(request).flags.snapshot
    flag = snapshot.flag_for(task)
    if flag is None:
        raise NotFound(f"no flag names {task!r}: legacy answers, nothing is observed")
    return _answer(view_of(flag, snapshot), snapshot)


@router.put("/flags/{task}", response_class=Response, **openapi.SET_FLAG)
async def set_one(request: Request, task: str) -> Response:
    """Set the flag of a task, or of a glob of tasks, on every gateway. With `If-Match` it is refused when somebody else was first."""
    services = services_of(request)
    body = decode(await read_body(request, services.settings.max_body_bytes), _decoder, services.settings.max_json_depth)
    if _TASK.fullmatch(task) is None:
        hint = "a task name or a glob of them"
        raise BadRequest(422, "invalid_parameter", f"/task: {hint}", [FieldError("/task", hint)])
    snapshot = await services.change_flag.set(
        flag_of(task, body), author=body.author, reason=body.reason, source="api", expected_version=_expected(request)
    )
    return _answer(view_of(snapshot.flags[task], snapshot), snapshot)


def flag_of(task: str, body: FlagBody) -> Flag:
    """The flag a body asks for. Raises `FlagRejected` for a percentage finer than 0.001."""
    return Flag(
        task=task,
        mode=body.mode,
        events_share=_share("/events_percent", body.events_percent),
        shadow_share=_share("/shadow_percent", body.shadow_percent),
        safety=body.safety,
        salt=body.salt,
        hash_version=body.hash_version,
    )


def view_of(flag: Flag, snapshot: FlagSnapshot) -> FlagView:
    """A flag as the API shows it."""
    return FlagView(
        task=flag.task,
        mode=flag.mode,
        events_percent=percent_of(flag.events_share),
        shadow_percent=percent_of(flag.shadow_share),
        safety=flag.safety,
        salt=flag.salt,
        hash_version=flag.hash_version,
        version=snapshot.version,
    )


def _share(pointer: str, percent: float) -> int:
    try:
        return share_of(percent)
    except ValueError as exc:
        raise FlagRejected(f"{pointer}: {exc}", [FieldError(pointer, "0 to 100 in steps of 0.001")]) from exc


def _answer(view: FlagView | FlagsView, snapshot: FlagSnapshot) -> Response:
    return Response(_encode(view), media_type="application/json", headers={"ETag": f'"{snapshot.version}"'})


def _expected(request: Request) -> int | None:
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    match = _ETAG.fullmatch(header.strip())
    if match is None:
        hint = 'the ETag of the flags you read, such as "7"'
        raise BadRequest(422, "invalid_header", f"If-Match: {hint}", [FieldError("/headers/If-Match", hint)])
    return int(match[1])
