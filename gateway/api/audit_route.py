"""`/v1/audit`: who changed what, from where, when and why."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from gateway.api.openapi.access import READ_AUDIT
from gateway.api.services import services_of
from gateway.core.audit import AuditEntry, AuditQuery

__all__ = ["AuditView", "router"]

router = APIRouter(tags=["access"])
_encode = msgspec.json.Encoder().encode
_Actor = Annotated[str | None, Query(max_length=200, description="Only what this one did.")]
_Action = Annotated[str | None, Query(max_length=50, description="Only this action, such as `flag.rollback`.")]
_Target = Annotated[str | None, Query(max_length=300, description="Only what is about this task, token or message.")]
_Cursor = Annotated[str | None, Query(pattern=r"^[0-9a-f-]{36}$", description="`next_cursor` of the page before.")]
_Limit = Annotated[int, Query(ge=1, le=200, description="Entries a page.")]


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None


@router.get("/audit", response_class=Response, **READ_AUDIT)
async def read(
    request: Request,
    actor: _Actor = None,
    action: _Action = None,
    target: _Target = None,
    cursor: _Cursor = None,
    limit: _Limit = 50,
) -> Response:
    """Every change somebody asked for, refused ones too. What the gate and the flags file did by themselves is in the flag history."""
    query = AuditQuery(actor=actor, action=action, target=target, before=cursor, limit=limit)
    page = await services_of(request).audit.page(query)
    view = AuditView(entries=tuple(page.entries), next_cursor=page.next_before)
    return Response(_encode(view), media_type="application/json")
