"""The login page with the way back from it: where a person is led whose session is none, or has ended. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

__all__ = ["FIRST_PAGE", "LOGIN_PAGE", "is_person", "own_path", "way_to_login"]

LOGIN_PAGE = "/console/login"
FIRST_PAGE = "/console/"
_OWN = re.compile(r"(?P<path>/console/[A-Za-z0-9_.:%/~+-]*)(?:\?[A-Za-z0-9_.:%/~=&+*,;@!$()?-]*)?")
_LONGEST = 400
_NOT_KEPT = {"Cache-Control": "no-store"}
_SAFE_METHODS = frozenset({"GET", "HEAD"})


def own_path(wanted: str) -> str:
    """A page of the console with its query, whatever was asked for: no address of another site comes out of here."""
    found = _OWN.fullmatch(wanted)
    return wanted if found is not None and "//" not in found["path"] and len(wanted) <= _LONGEST else FIRST_PAGE


def is_person(scope: Scope) -> bool:
    """Whether somebody looks at the answer: a browser asks for pages as text/html, and htmx says that it is one."""
    headers = _headers(scope)
    return "text/html" in headers.get("accept", "") or "hx-request" in headers


def way_to_login(scope: Scope) -> Response | None:
    """Where a stranger who asks the console for something logs in and goes on; None for a program that would change something."""
    headers = _headers(scope)
    if "hx-request" in headers:
        # A redirect would be followed before htmx sees it, and the login page taken for the part that was asked for.
        back = _on_this_host(headers.get("hx-current-url", ""), headers)
        return Response(status_code=401, headers={"HX-Redirect": _login(back), **_NOT_KEPT})
    if scope["method"] in _SAFE_METHODS:
        query = scope["query_string"].decode("latin-1")
        return _see_other(_login(own_path(quote(scope["path"]) + (f"?{query}" if query else ""))))
    if is_person(scope):
        return _see_other(f"{_login(_on_this_host(headers.get('referer', ''), headers))}&ended=1")
    return None


def _login(back: str) -> str:
    return f"{LOGIN_PAGE}?next={quote(back)}"


def _see_other(location: str) -> Response:
    return RedirectResponse(location, status_code=303, headers=_NOT_KEPT)


def _on_this_host(url: str, headers: Mapping[str, str]) -> str:
    """The path and the query of an address, where it is one of ours."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return FIRST_PAGE
    if parts.netloc != headers.get("host", ""):
        return FIRST_PAGE
    return own_path(parts.path + (f"?{parts.query}" if parts.query else ""))


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
