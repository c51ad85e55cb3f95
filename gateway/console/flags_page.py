"""The history of the flags: who changed what, when and why; and back to one of the versions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.console.page import author_of, form_of, redirect, render, services_of

__all__ = ["history", "roll_back", "version"]

_PAGE = 30
_HIGHEST = 10**15


async def history(request: Request) -> Response:
    """Versions, newest first; `before` asks for older ones."""
    services = services_of(request)
    before = _number(request.query_params.get("before", ""))
    page = await services.flag_history.page(before=before, limit=_PAGE)
    return render(request, "flags.html.j2", page=page, snapshot=services.flags.snapshot, first=before is None)


async def version(request: Request) -> Response:
    """One version, told from the one before it or from `against`. Raises `NotFound`."""
    services = services_of(request)
    against = _number(request.query_params.get("against", ""))
    read = await services.flag_history.version(request.path_params["version"], against=against)
    return render(request, "version.html.j2", read=read, snapshot=services.flags.snapshot)


async def roll_back(request: Request) -> Response:
    """Every flag to mode legacy, or all flags to what they were at `to_version`."""
    form = await form_of(request)
    to_version = _number(form.get("to_version", ""))
    reason = form.get("reason") or "rolled back in the console"
    await services_of(request).roll_back.everything(to_version=to_version, author=author_of(request), reason=reason, source="console")
    return redirect(request, "/flags")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:18]) <= _HIGHEST else None
