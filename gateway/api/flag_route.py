"""`/v1/flags`: read the flags in force, set one or all of them."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from gateway.api.body import decode, read_body
from gateway.api.caller import author_of
from gateway.api.flag_body import FlagBody, FlagsBody, evidence_of, flag_of, flags_of
from gateway.api.flag_view import FlagsChangeView, FlagSetView, FlagsView, FlagView, flags_view_of, view_of
from gateway.api.in_flight_route import WaitS
from gateway.api.openapi.flags import READ_FLAG, READ_FLAGS, SET_FLAG, SET_FLAGS
from gateway.api.problem import BadRequest
from gateway.api.services import services_of
from gateway.core.errors import FieldError, NotFound
from gateway.core.flag_change import changes_between
from gateway.core.flags import FlagSnapshot

__all__ = ["check_task", "etag_of", "router"]

router = APIRouter(tags=["flags"])
_encode = msgspec.json.Encoder().encode
_TASK = re.compile(r"[A-Za-z0-9_.:*?\[\]\-]{1,200}")
_ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')
_DryRun = Annotated[bool, Query(description="Check and show what would change; nothing is changed.")]
_decoder = msgspec.json.Decoder(FlagBody)
_all_decoder = msgspec.json.Decoder(FlagsBody)


@router.get("/flags", response_class=Response, **READ_FLAGS)
async def read_all(request: Request) -> Response:
    """Every flag in force; the ETag is their version."""
    snapshot = services_of(request).flags.snapshot
    view = FlagsView(
        version=snapshot.version,
        changed_at=snapshot.changed_at,
        author=snapshot.author,
        reason=snapshot.reason,
        source=snapshot.source,
        flags=flags_view_of(snapshot),
    )
    return _answer(view, snapshot)


@router.get("/flags/{task}", response_class=Response, **READ_FLAG)
async def read_one(request: Request, task: str) -> Response:
    """The flag in force for a task: its own, or the longest glob that matches it."""
    snapshot = services_of(request).flags.snapshot
    flag = snapshot.flag_for(task)
    if flag is None:
        raise NotFound(f"no flag names {task!r}: legacy answers, nothing is observed")
    return _answer(view_of(flag, snapshot), snapshot)


@router.put("/flags/{task}", response_class=Response, **SET_FLAG)
async def set_one(request: Request, task: str, wait_s: WaitS = 0.0) -> Response:
    """Set the flag of a task, or of a glob of tasks, on every gateway. With `If-Match` it is refused when somebody else was first.

    A member left out has its default; but gate, hold and safety class stay, and `null` takes the first two away.
    A flag that carries a gate is taken further by promotion; here with `force` and a reason, a step at a time. A rule that takes somebody
    further than the flag does goes by the gate's evidence, or likewise. Where the change takes cohort keys off a side, the answer counts
    the messages that waited there, as they are after `wait_s` seconds.
    """
    services = services_of(request)
    body = decode(await read_body(request, services.settings.max_body_bytes), _decoder, services.settings.max_json_depth)
    check_task(task)
    expected = _expected(request)
    known = await services.change_flag.known(expected)
    snapshot = await services.change_flag.set(
        flag_of(task, body, known.flag_for(task)),
        author=author_of(request, body.author),
        reason=body.reason,
        source=body.source,
        expected_version=expected,
        evidence=evidence_of(body.evidence),
        force=body.force,
    )
    in_flight = await services.read_in_flight.moved_by(snapshot, wait_s=wait_s)
    shown = msgspec.structs.asdict(view_of(snapshot.flags[task], snapshot))
    return _answer(FlagSetView(**shown, in_flight=in_flight), snapshot)


@router.put("/flags", response_class=Response, **SET_FLAGS)
async def set_all(request: Request, dry_run: _DryRun = False, wait_s: WaitS = 0.0) -> Response:
    """Make these all the flags there are, on every gateway. `If-Match` is required: flags somebody else has set meanwhile would be lost."""
    services = services_of(request)
    body = decode(await read_body(request, services.settings.max_body_bytes), _all_decoder, services.settings.max_json_depth)
    if "if-match" not in request.headers and not dry_run:
        hint = 'the ETag of the flags you read, such as "7"; * for whatever is in force'
        raise BadRequest(428, "if_match_required", f"If-Match: {hint}", [FieldError("/headers/If-Match", hint)])
    expected = _expected(request)
    present = services.flags.snapshot if dry_run else await services.change_flag.known(expected)
    flags = flags_of(body.flags, present)
    changes = changes_between(present.flags, flags)
    if dry_run:
        present = await services.change_flag.check_all(flags, reason=body.reason, force=body.force, expected_version=expected)
        return _answer(FlagsChangeView(version=present.version, changes=changes, refused=services.change_flag.refusal), present)
    snapshot = await services.change_flag.replace_all(
        flags,
        author=author_of(request, body.author),
        reason=body.reason,
        source=body.source,
        expected_version=expected,
        evidence=evidence_of(body.evidence),
        force=body.force,
    )
    in_flight = await services.read_in_flight.moved_by(snapshot, wait_s=wait_s)
    return _answer(FlagsChangeView(version=snapshot.version, changes=changes, in_flight=in_flight), snapshot)


def check_task(task: str) -> None:
    """Raises `BadRequest` where a path holds neither a task name nor a glob."""
    if _TASK.fullmatch(task) is None:
        hint = "a task name or a glob of them"
        raise BadRequest(422, "invalid_parameter", f"/task: {hint}", [FieldError("/task", hint)])


def etag_of(snapshot: FlagSnapshot) -> dict[str, str]:
    """The header that names a version."""
    return {"ETag": f'"{snapshot.version}"'}


def _answer(view: FlagView | FlagsView | FlagsChangeView, snapshot: FlagSnapshot) -> Response:
    return Response(_encode(view), media_type="application/json", headers=etag_of(snapshot))


def _expected(request: Request) -> int | None:
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    match = _ETAG.fullmatch(header.strip())
    if match is None:
        hint = 'the ETag of the flags you read, such as "7"'
        raise BadRequest(422, "invalid_header", f"If-Match: {hint}", [FieldError("/headers/If-Match", hint)])
    return int(match[1])
