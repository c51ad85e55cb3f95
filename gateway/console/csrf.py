"""Every form of a session sends along a token that another site cannot know (CSRF), besides what browsers say of where they come from."""

from __future__ import annotations

import hmac
import re
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.body import read_bounded
from gateway.api.caller import caller_of
from gateway.api.problem import problem_of
from gateway.console.page import CSRF_FIELD, csrf_token_of, problem_page, services_of
from gateway.core.access import Via
from gateway.core.errors import Forbidden, GatewayError

__all__ = ["CsrfTokens"]

_HARMLESS = frozenset({"GET", "HEAD"})
_MOST_FIELDS = 5_000
"""A list of dead letters has a box to tick for each of up to 2,000."""
_TOKEN = re.compile(r"[0-9a-f]{64}")


class CsrfTokens:
    """Lets a change by a session through only with the session's token, in its form or in the header `X-CSRF-Token`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if scope["type"] != "http" or scope["method"] in _HARMLESS or caller_of(request).via is not Via.SESSION:
            return await self._app(scope, receive, send)
        try:
            body = await read_bounded(request, services_of(request).settings.max_body_bytes)
            _check(request, body)
        except GatewayError as exc:
            return await problem_page(request, problem_of(exc))(scope, receive, send)
        return await self._app(scope, _replayed(body, receive), send)


def _check(request: Request, body: bytes) -> None:
    given = request.headers.get("x-csrf-token") or _field(body)
    if _TOKEN.fullmatch(given) is None or not hmac.compare_digest(given, csrf_token_of(request)):
        raise Forbidden("the form does not carry this session's token: open the page again, and repeat it. Nothing was changed", "csrf")


def _field(body: bytes) -> str:
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS).get(CSRF_FIELD, [""])[0]
    except ValueError:
        return ""


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
