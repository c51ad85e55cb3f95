"""`/v1/dead-letters`: messages that a queue could not deal with."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from dualrun.contracts import JsonObject
from gateway.api.body import decode, read_body
from gateway.api.caller import author_of
from gateway.api.openapi.operations import DISCARD_DEAD_LETTER, READ_DEAD_LETTER, READ_DEAD_LETTERS, REPLAY_DEAD_LETTER
from gateway.api.services import services_of
from gateway.core.dead_letter import DeadLetter

__all__ = ["DeadLetterLine", "DeadLettersView", "DiscardBody", "router"]

router = APIRouter(tags=["dead letters"])
_encode = msgspec.json.Encoder().encode
_NAME = r"^[A-Za-z0-9_.:-]{1,200}$"
_Service = Annotated[str, Query(pattern=_NAME, description="The service whose queues are looked into.")]
_Queue = Annotated[str, Path(pattern=_NAME, description="The queue it came from.")]
_Id = Annotated[str, Path(min_length=1, max_length=255, description="The message's id.")]


class DeadLetterLine(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter in a list."""

    id: str
    queue: str
    reason: str
    attempts: int
    task: str | None
    submission_id: str | None


class DeadLettersView(msgspec.Struct, frozen=True, kw_only=True):
    """The dead letters of a service."""

    dead_letters: tuple[DeadLetterLine, ...]


class DiscardBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it may go, and who says so."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    author: Annotated[str, msgspec.Meta(max_length=200)] = ""


_decoder = msgspec.json.Decoder(DiscardBody)


@router.get("/dead-letters", response_class=Response, **READ_DEAD_LETTERS)
async def of_service(request: Request, service: _Service = "shop") -> Response:
    """Dead letters of a service, oldest first, up to a thousand a queue. Looking at them takes none away."""
    letters = await services_of(request).dead_letters.of_service(service)
    lines = tuple(msgspec.convert(letter, DeadLetterLine, from_attributes=True) for letter in letters)
    return _answer(DeadLettersView(dead_letters=lines))


@router.get("/dead-letters/{queue}/{id}", response_class=Response, **READ_DEAD_LETTER)
async def one(request: Request, queue: _Queue, id: _Id) -> Response:  # noqa: A002 - the name in the path
    """One with its headers, its body, and the traceback where a handler failed."""
    return _answer(await services_of(request).dead_letters.one(queue, id))


@router.post("/dead-letters/{queue}/{id}/replay", response_class=Response, **REPLAY_DEAD_LETTER)
async def replay(request: Request, queue: _Queue, id: _Id) -> Response:  # noqa: A002
    """Send it back to its queue, under its id and with all its attempts before it. It is gone from here once that is confirmed."""
    return _answer(await services_of(request).dead_letters.replay(queue, id, author=author_of(request, "")))


@router.post("/dead-letters/{queue}/{id}/discard", response_class=Response, **DISCARD_DEAD_LETTER)
async def discard(request: Request, queue: _Queue, id: _Id) -> Response:  # noqa: A002
    """Delete it for good; the reason is logged."""
    services = services_of(request)
    body = decode(await read_body(request, services.settings.max_body_bytes), _decoder, services.settings.max_json_depth)
    return _answer(await services.dead_letters.discard(queue, id, author=author_of(request, body.author), reason=body.reason))


def _answer(view: DeadLetter | DeadLettersView | JsonObject) -> Response:
    return Response(_encode(view), media_type="application/json")
