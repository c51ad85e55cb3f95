"""`/v1/events`: flag versions and the gate's word as server-sent events, from any gateway."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, format_sse_event

from gateway.api.openapi.evidence import READ_EVENTS
from gateway.api.problem import BadRequest
from gateway.api.services import services_of
from gateway.core.errors import FieldError, StoreUnavailable
from gateway.core.notice import NoticeType
from gateway.core.ports import NoticeLog

__all__ = ["router"]

log = logging.getLogger(__name__)
router = APIRouter(tags=["events"])
_encode = msgspec.json.Encoder().encode
_POSITION = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
_PING_S = 15.0
_RETRY_MS = 1_000
_Last = Annotated[str | None, Header(description="The last `id:` you have seen: what came after it is sent first.")]
_After = Annotated[str | None, Query(description="As Last-Event-ID, for clients that cannot set headers; 0-0: all that is kept.")]
_Types = Annotated[list[NoticeType] | None, Query(alias="type", description="Only these types.")]


@router.get("/events", response_class=Response, **READ_EVENTS)
async def stream(request: Request, last_event_id: _Last = None, after: _After = None, types: _Types = None) -> Response:
    """Flag versions and gate verdicts as they happen, on and on. The latest 10,000 are kept for clients that come back."""
    notices = services_of(request).notice_log
    name, given = ("headers/Last-Event-ID", last_event_id) if last_event_id is not None else ("after", after)
    if given is not None and _POSITION.fullmatch(given) is None:
        hint = "the `id:` of an event, or 0-0"
        raise BadRequest(422, "invalid_parameter", f"/{name}: {hint}", [FieldError(f"/{name}", hint)])
    position = given if given is not None else await notices.end()
    still_admitted: Callable[[], bool] = request.scope.get("still_admitted", lambda: True)
    return EventSourceResponse(
        _events(notices, position, frozenset(types or NoticeType), still_admitted), headers={"Cache-Control": "no-store"}
    )


async def _events(
    notices: NoticeLog, position: str, types: frozenset[NoticeType], still_admitted: Callable[[], bool]
) -> AsyncIterator[bytes]:
    # The position is told at once: who reconnects before anything happened goes on from here.
    yield format_sse_event(comment="connected", id=position, retry=_RETRY_MS)
    while True:
        appended = notices.listen()
        try:
            found = await notices.after(position)
        except StoreUnavailable as exc:
            log.warning("event_stream_waits", extra={"reason": str(exc)})
            found = ()
        # Nothing is told, and no stream kept, for a token that was revoked since or a session that has ended.
        if not still_admitted():
            return
        for logged in found:
            position = logged.position
            if logged.notice.type in types:
                yield format_sse_event(data_str=_encode(logged.notice).decode(), event=logged.notice.type.value, id=position)
        if not found:
            with suppress(TimeoutError):
                await asyncio.wait_for(appended.wait(), _PING_S)
            if not appended.is_set():
                yield format_sse_event(comment="ping")
