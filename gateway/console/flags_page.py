"""The history of the flags: who changed what, when and why; and back to one of the versions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from dualrun.contracts import Mode, Side
from gateway.api.services import Services
from gateway.console.page import author_of, form_of, redirect, render, services_of

__all__ = ["history", "roll_back", "version"]

_PAGE = 30
_HIGHEST = 10**15


async def history(request: Request) -> Response:
    """Versions, newest first; `before` asks for older ones."""
    services = services_of(request)
    before = _number(request.query_params.get("before", ""))
    page = await services.flag_history.page(before=before, limit=_PAGE)
    return render(request, "flags.html.j2", page=page, snapshot=services.flags.snapshot, first=before is None, stranded=_stranded(services))


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


def _stranded(services: Services) -> int:
    """How many tasks that events answer for would wait on legacy: nobody alive there serves them."""
    snapshot, catalogue = services.flags.snapshot, services.catalogue
    named = {*catalogue.names(), *(name for name, flag in snapshot.flags.items() if not flag.is_glob)}
    away = [name for name in named if (flag := snapshot.flag_for(name)) is not None and flag.mode is not Mode.LEGACY]
    return sum(not catalogue.live_workers(Side.LEGACY, name) for name in away)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:18]) <= _HIGHEST else None
