"""`/v1/flags/rollback` and `/v1/flags/{task}/rollback`: back, at once, without evidence."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from gateway.api.body import decode, read_body
from gateway.api.caller import author_of
from gateway.api.flag_body import ChangeMade, evidence_of
from gateway.api.flag_route import check_task, etag_of
from gateway.api.in_flight_route import WaitS
from gateway.api.openapi.steps import ROLL_BACK
from gateway.api.services import Services, services_of
from gateway.core.flag_change import FlagChange
from gateway.usecases.in_flight import InFlightCounts
from gateway.usecases.read_in_flight import newest_recall
from gateway.usecases.roll_back import RolledBack

__all__ = ["RollbackBody", "RollbackView", "router"]

_WAIT_S = 3.0
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
    stored: bool
    """False where the store of the flags is away: in force everywhere all the same, and in the store when it is back."""
    in_flight: InFlightCounts
    """Messages that waited on a side that is not the authority any more. A rollback repeated answers with the counts as they are then."""


_decoder = msgspec.json.Decoder(RollbackBody)


@router.post("/flags/rollback", response_class=Response, **ROLL_BACK)
async def roll_back_everything(request: Request, wait_s: WaitS = _WAIT_S) -> Response:
    """Take every flag to mode legacy, or all flags to what they were at `to_version`, on every gateway. It may be repeated."""
    services = services_of(request)
    body = await _body(request, services)
    done = await services.roll_back.everything(
        to_version=body.to_version,
        author=author_of(request, body.author),
        reason=body.reason,
        source=body.source,
        evidence=evidence_of(body.evidence),
    )
    _count(services, done, body.source)
    return await _answer(services, done, None, wait_s)


@router.post("/flags/{task}/rollback", response_class=Response, **ROLL_BACK)
async def roll_back_task(request: Request, task: str, wait_s: WaitS = _WAIT_S) -> Response:
    """Take one task to mode legacy, or to what decided it at `to_version`, on every gateway. It may be repeated.

    It wins over whatever is changed at the same moment. Submissions accepted before that have not started go to the side that is now the
    authority; the answer counts them, waiting up to `wait_s` seconds until everybody has said what it has in hand.
    """
    services = services_of(request)
    body = await _body(request, services)
    check_task(task)
    done = await services.roll_back.task(
        task,
        to_version=body.to_version,
        author=author_of(request, body.author),
        reason=body.reason,
        source=body.source,
        evidence=evidence_of(body.evidence),
    )
    _count(services, done, body.source)
    return await _answer(services, done, task, wait_s)


def _count(services: Services, done: RolledBack, source: str) -> None:
    if done.changes:
        (services.metrics.promoted if done.is_forward else services.metrics.rolled_back)(source)


async def _body(request: Request, services: Services) -> RollbackBody:
    """In an emergency `curl -X POST` without a body has to do."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return RollbackBody()
    return decode(await read_body(request, services.settings.max_body_bytes), _decoder, services.settings.max_json_depth)


async def _answer(services: Services, done: RolledBack, task: str | None, wait_s: float) -> Response:
    version = done.snapshot.version if done.changes else newest_recall(done.snapshot, task)
    in_flight = await services.read_in_flight.of(done.snapshot, version, wait_s=wait_s)
    view = RollbackView(
        version=done.snapshot.version,
        changed=bool(done.changes),
        changes=done.changes,
        stored=done.is_stored,
        in_flight=in_flight,
    )
    return Response(_encode(view), media_type="application/json", headers=etag_of(done.snapshot))
