"""`/v1/flags/rollback` and `/v1/flags/{task}/rollback`: back, at once, without evidence."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from gateway.api import openapi
from gateway.api.body import decode, read_body
from gateway.api.flag_route import check_task, etag_of
from gateway.api.flag_view import ChangeMade
from gateway.api.services import Services, services_of
from gateway.core.flag_change import FlagChange
from gateway.usecases.roll_back import RolledBack

__all__ = ["RollbackBody", "RollbackView", "router"]

router = APIRouter(tags=["flags"])
_encode = msgspec.json.Encoder().encode
_ToVersion = Annotated[int, msgspec.Meta(ge=1, le=10**15, description="Back to this version; left out: to mode legacy.")]


class RollbackBody(ChangeMade, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to, who and why. All of it may be left out, and so may the body."""

    to_version: _ToVersion | None = None


class RollbackView(msgspec.Struct, frozen=True, kw_only=True):
    """The version in force. Without `changes` it was so already, and no version was made."""

    version: int
    changed: bool
    changes: tuple[FlagChange, ...]


_decoder = msgspec.json.Decoder(RollbackBody)


@router.post("/flags/rollback", response_class=Response, **openapi.ROLL_BACK)
async def roll_back_everything(request: Request) -> Response:
    """Take every flag to mode legacy, or all flags to what they were at `to_version`, on every gateway. It may be repeated."""
    services = services_of(request)
    body = await _body(request, services)
    done = await services.roll_back.everything(to_version=body.to_version, author=body.author, reason=body.reason, source=body.source)
    return _answer(done)


@router.post("/flags/{task}/rollback", response_class=Response, **openapi.ROLL_BACK)
async def roll_back_task(request: Request, task: str) -> Response:
    """Take one task to mode legacy, or to what decided it at `to_version`, on every gateway. It may be repeated.

    It wins over whatever is changed at the same moment. Submissions accepted before go on where they were sent.
    """
    services = services_of(request)
    body = await _body(request, services)
    check_task(task)
    done = await services.roll_back.task(task, to_version=body.to_version, author=body.author, reason=body.reason, source=body.source)
    return _answer(done)


async def _body(request: Request, services: Services) -> RollbackBody:
    """In an emergency `curl -X POST` without a body has to do."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return RollbackBody()
    return decode(await read_body(request, services.settings.max_body_bytes), _decoder, services.settings.max_json_depth)


def _answer(done: RolledBack) -> Response:
    view = RollbackView(version=done.snapshot.version, changed=bool(done.changes), changes=done.changes)
    return Response(_encode(view), media_type="application/json", headers=etag_of(done.snapshot))
