"""Logging in with an identity provider: there, and back with its word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Authenticator
from gateway.access.login_begun import LoginBegun
from gateway.api.way_to_login import own_path
from gateway.console.login_page import keep_session
from gateway.console.page import redirect, render, services_of
from gateway.core.access import Via
from gateway.core.errors import AccessDenied, NotFound, Unauthenticated

if TYPE_CHECKING:
    from gateway.access.oidc import OidcProvider

__all__ = ["begin", "callback"]

_COOKIE = "dualrun_login"
_PLACE = "/console/login/oidc"
_LIFETIME_S = 600


async def begin(request: Request) -> Response:
    """To the provider. Raises `NotFound` where there is none, `StoreUnavailable`."""
    authenticator, provider = _parts(request)
    url, begun = await provider.begin(own_path(request.query_params.get("next", "")))
    answer = redirect(request, "")
    answer.headers["location"] = url
    # Lax: the provider sends the browser back from another site, and this cookie has to come along.
    answer.set_cookie(
        _COOKIE,
        authenticator.signed(msgspec.to_builtins(begun)),
        max_age=_LIFETIME_S,
        path=_PLACE,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


async def callback(request: Request) -> Response:
    """Back from the provider: a session for whoever it says it is. Raises `Unauthenticated`, `Forbidden`, `StoreUnavailable`."""
    request.scope["audited_via"] = Via.SESSION
    authenticator, provider = _parts(request)
    try:
        begun = msgspec.convert(authenticator.unsigned(request.cookies.get(_COOKIE, "")), LoginBegun)
    except msgspec.ValidationError as exc:
        raise Unauthenticated("this login was not begun in this browser, or it took more than ten minutes: begin again") from exc
    state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
    try:
        name, permissions = await provider.finish(begun, state=state, code=code)
    except AccessDenied:
        services_of(request).limits.failure_from(request.client.host if request.client else "")
        raise
    request.scope["audited_actor"] = name
    cookie = await authenticator.begin_session(name, permissions)
    wanted = own_path(begun.wanted)
    # A page of ours goes on by itself: a redirect would still come from the provider's site, and the session stays behind there.
    answer = render(request, "logged_in.html.j2", name=name, wanted=wanted)
    answer.headers["refresh"] = f"0; url={wanted}"
    keep_session(request, answer, cookie, int(services_of(request).settings.session_s))
    answer.delete_cookie(_COOKIE, path=_PLACE)
    return answer


def _parts(request: Request) -> tuple[Authenticator, OidcProvider]:
    services = services_of(request)
    if services.authenticator is None or services.oidc is None:
        raise NotFound("no identity provider is set (DUALRUN_OIDC_ISSUER)")
    return services.authenticator, services.oidc
