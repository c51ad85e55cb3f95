"""`/v1/breakers`: what handlers call, and do not call for now because it keeps failing."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from dualrun.breakers import SharedBreaker
from gateway.api.openapi.operations import READ_BREAKERS
from gateway.api.services import services_of

__all__ = ["BreakersView", "router"]

router = APIRouter(tags=["breakers"])
_encode = msgspec.json.Encoder().encode
_Service = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_.:-]{1,200}$", description="Those of one service; left out, of all.")]


class BreakersView(msgspec.Struct, frozen=True, kw_only=True):
    """Circuit breakers."""

    breakers: tuple[SharedBreaker, ...]


@router.get("/breakers", response_class=Response, **READ_BREAKERS)
async def breakers(request: Request, service: _Service = None) -> Response:
    """Circuit breakers that event workers asked for within a day, by service and name. Workers without Redis share none."""
    found = await services_of(request).breakers.read()
    view = BreakersView(breakers=tuple(breaker for breaker in found if service in {None, breaker.service}))
    return Response(_encode(view), media_type="application/json")
