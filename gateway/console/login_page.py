"""Logging in with an access token, and out again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.guard import SESSION_COOKIE
from gateway.api.way_to_login import own_path
from gateway.console.page import form_of, redirect, render, services_of
from gateway.core.access import Permission, Via, granted

__all__ = ["keep_session", "log_in", "log_out", "login"]

_WRONG = "This access token is none, was revoked or has expired."
_ENDED = "Your session had ended before that was sent: nothing was changed. Log in and do it again."
_NARROW = "This token cannot see the console: it needs the permission view, for every task."


async def login(request: Request) -> Response:
    """The form that asks for a token; the first page where nobody has to log in."""
    if services_of(request).authenticator is None:
        return redirect(request, "/")
    ended = _ENDED if "ended" in request.query_params else ""
    return _form(request, wanted=request.query_params.get("next", ""), refused=ended)


async def log_in(request: Request) -> Response:
    """Begin a session for the holder of a token."""
    authenticator = services_of(request).authenticator
    if authenticator is None:
        return redirect(request, "/")
    form = await form_of(request)
    wanted = form.get("next", "")
    token = authenticator.token(form.get("token", ""))
    request.scope["audited_actor"] = "" if token is None else token.name
    request.scope["audited_via"] = Via.SESSION
    if token is None:
        services_of(request).limits.failure_from(request.client.host if request.client else "")
        return _form(request, wanted, refused=_WRONG, status=401)
    if Permission.VIEW not in granted(token.permissions) or "*" not in token.tasks:
        return _form(request, wanted, refused=_NARROW, status=403)
    cookie = await authenticator.begin_session(token.name, token.permissions, token.id)
    answer = redirect(request, own_path(wanted).removeprefix(request.scope.get("root_path", "")))
    keep_session(request, answer, cookie, int(services_of(request).settings.session_s))
    return answer


async def log_out(request: Request) -> Response:
    """End the session, on every gateway."""
    authenticator, cookie = services_of(request).authenticator, request.cookies.get(SESSION_COOKIE)
    answer = redirect(request, "/login")
    if authenticator is not None and cookie is not None:
        await authenticator.end_session(cookie)
    answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def keep_session(request: Request, answer: Response, cookie: str, lifetime_s: int) -> None:
    """Have the browser keep it: from scripts and from other sites."""
    secure = request.url.scheme == "https"
    answer.set_cookie(SESSION_COOKIE, cookie, max_age=lifetime_s, path="/", secure=secure, httponly=True, samesite="strict")


def _form(request: Request, wanted: str, *, refused: str = "", status: int = 200) -> Response:
    return render(
        request, "login.html.j2", status=status, wanted=own_path(wanted), refused=refused, has_oidc=services_of(request).oidc is not None
    )
