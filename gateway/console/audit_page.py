"""The audit log: who changed what, from where, when and why."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gateway.console.page import render, services_of
from gateway.core.audit import AuditPage, AuditQuery
from gateway.core.errors import StoreUnavailable

__all__ = ["audit"]

_PAGE = 50
_LONGEST = 300
_ID = re.compile(r"[0-9a-f-]{36}")
_FILTERS = ("actor", "action", "target")


async def audit(request: Request) -> Response:
    """Entries, newest first, by who, by what was done and by what it was done to; `before` asks for older ones."""
    given = {name: request.query_params.get(name, "").strip()[:_LONGEST] for name in _FILTERS}
    before = request.query_params.get("before", "")
    query = AuditQuery(
        actor=given["actor"] or None,
        action=given["action"] or None,
        target=given["target"] or None,
        before=before if _ID.fullmatch(before) else None,
        limit=_PAGE,
    )
    away = None
    try:
        page = await services_of(request).audit.page(query)
    except StoreUnavailable as exc:
        page, away = AuditPage((), None), str(exc)
    older = urlencode({**{name: value for name, value in given.items() if value}, "before": page.next_before or ""})
    return render(request, "audit.html.j2", page=page, given=given, older=older, away=away)
