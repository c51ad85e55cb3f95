"""Refuses what another site asks the reader's browser to do here (CSRF)."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.problem import problem_of
from gateway.console.page import problem_page
from gateway.core.errors import Forbidden

__all__ = ["SameSiteOnly", "is_from_here"]

_HARMLESS = frozenset({"GET", "HEAD"})


class SameSiteOnly:
    """Lets a request that may change something through only when the browser says that it comes from a page of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _HARMLESS and not is_from_here(Headers(scope=scope)):
            refusal = Forbidden("the request does not come from a page of the console: nothing was changed", "cross_site")
            return await problem_page(Request(scope, receive), problem_of(refusal))(scope, receive, send)
        return await self._app(scope, receive, send)


def is_from_here(headers: Headers) -> bool:
    """Whether a page of this origin sent the request.

    `Sec-Fetch-Site` cannot be set by a page's script; browsers without it send `Origin` with every POST. A request with neither was
    not made by a browser, and has no business here: the API is for programs.
    Source: OWASP, Cross-Site Request Forgery Prevention, "Fetch Metadata" and "Verifying Origin With Standard Headers".
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == headers.get("host")
