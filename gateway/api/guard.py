"""Who may come in: the first thing a request meets, before the framework and before the two routes that go past it.

It finds the caller by access token or session, asks the route's entry in `route_access`, and keeps requests of other sites out. What only
an endpoint can know (the task a body names) endpoints ask `caller.require_task`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache, partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.access import Authenticator
from gateway.api.audited import audit_entry
from gateway.api.caller import ANYBODY
from gateway.api.problem import BadRequest, response_of
from gateway.api.route_access import HOW_TO_SHOW_A_TOKEN, Access, RouteTable
from gateway.api.services import Services
from gateway.api.way_to_login import is_person, way_to_login
from gateway.core.access import Identity
from gateway.core.errors import Forbidden, GatewayError, NotFound, Unauthenticated

__all__ = ["SESSION_COOKIE", "Guard"]

SESSION_COOKIE = "dualrun_session"
LOGIN = "session.begin"
"""What logging in is called in the audit log."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({b"same-origin", b"none"})
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_UNAUTHORIZED = 401
_STREAM = "/v1/events"
# Nothing keeps a rollback from happening.
_NEVER_TOO_FAST = frozenset({"flag.rollback", "flags.rollback"})


class Guard:
    """Lets a request through to the application, with its caller in the scope, or answers it."""

    def __init__(self, app: ASGIApp, routes: RouteTable, services: Callable[[], Services], *, refusals: ASGIApp | None = None) -> None:
        """`refusals` shows a person who asks the console what `scope["refusal"]` says, as a page: it must serve nothing else."""
        self._app = app
        self._routes = routes
        self._services = services
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        access, target = self._routes.find(scope["method"], scope["path"])
        answer = _Answer(send)
        if access is None or not access.action:
            return await self._admitted(access, target, scope, receive, answer)
        scope["audited"] = True
        try:
            await self._admitted(access, target, scope, receive, answer)
        finally:
            # A stranger's attempts are counted, not kept: there is no end to them. Those to log in are limited.
            is_stranger = answer.status == _UNAUTHORIZED or isinstance(scope.get("refusal"), Unauthenticated)
            if not is_stranger or access.action == LOGIN:
                services = self._services()
                services.audit.note(audit_entry(scope, access.action, target, answer.status, new_id=services.new_id, now=services.now))

    async def _admitted(self, access: Access | None, target: str, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            self._admit(access, target, scope)
            if access is not None and access.waits and (b"wait_s=" in scope["query_string"] or scope["path"] == _STREAM):
                scope["still_admitted"] = partial(self._still_admits, access, target, scope)
                with self._services().limits.waiting(scope.get("caller", ANYBODY)):
                    return await self._app(scope, receive, answer.send)
        except GatewayError as exc:
            scope["refusal"] = exc
            return await self._refusal(scope, exc)(scope, receive, answer.send)
        return await self._app(scope, receive, answer.send)

    def _admit(self, access: Access | None, target: str, scope: Scope) -> None:
        """Put the caller into the scope. Raises `AccessDenied`, `NotFound`, `BadRequest`."""
        headers = _Headers(scope)
        if scope["method"] not in _SAFE_METHODS:
            _check_site(headers)
        authenticator = self._services().authenticator
        if authenticator is None:
            _check_loopback(scope, headers)
            scope["caller"] = ANYBODY
            return
        caller = _known(authenticator, headers)
        if caller is None and headers.authorization:
            self._services().limits.failure_from(_address(scope))
            raise Unauthenticated(f"this access token is none, was revoked or has expired: {HOW_TO_SHOW_A_TOKEN}")
        if caller is not None:
            scope["caller"] = caller
            if access is None or access.action not in _NEVER_TOO_FAST:
                self._services().limits.request_of(caller)
        if access is None:
            raise self._unserved(scope, caller)
        if (refusal := access.refusal(target, caller)) is not None:
            raise refusal

    def _still_admits(self, access: Access, target: str, scope: Scope) -> bool:
        """Whether who was let in would be now: an answer that goes on and on outlives tokens and sessions."""
        authenticator = self._services().authenticator
        return authenticator is None or access.refusal(target, _known(authenticator, _Headers(scope))) is None

    def _unserved(self, scope: Scope, caller: Identity | None) -> GatewayError:
        if caller is None:
            return Unauthenticated(f"no access token: {HOW_TO_SHOW_A_TOKEN}")
        if methods := self._routes.methods_of(scope["path"]):
            return BadRequest(405, "method_not_allowed", f"this path takes {', '.join(methods)}")
        return NotFound("there is no such path")

    def _refusal(self, scope: Scope, error: GatewayError) -> ASGIApp:
        """The answer; to somebody who looks at pages it is one, or the way to the page that lets them in."""
        if f"{scope['path']}/".startswith("/console/"):
            if isinstance(error, Unauthenticated) and (way := way_to_login(scope)) is not None:
                return way
            is_missing_page = isinstance(error, NotFound) and scope["method"] in _SAFE_METHODS
            if self._refusals is not None and (is_missing_page or is_person(scope)):
                return self._refusals
        return response_of(error)


def _known(authenticator: Authenticator, headers: _Headers) -> Identity | None:
    """Whose token or session comes along; None is a stranger. A token that is none is not made good by a session."""
    if headers.authorization:
        scheme, _, presented = headers.authorization.decode("latin-1").partition(" ")
        return authenticator.by_token(presented.strip()) if scheme.lower() == "bearer" else None
    cookie = headers.cookie_named(SESSION_COOKIE)
    return None if cookie is None else authenticator.by_session(cookie)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


class _Answer:
    """Sends an answer with the headers every one of them carries, and knows its status."""

    __slots__ = ("_send", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"]
            present = [name for name, _ in headers]
            headers += [header for header in _SECURITY_HEADERS if header[0] not in present]
        await self._send(message)


class _Headers:
    """The few headers the guard looks at, found in one pass."""

    __slots__ = ("authorization", "cookie", "host", "origin", "site")

    def __init__(self, scope: Scope) -> None:
        self.authorization = self.cookie = self.host = self.origin = self.site = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                self.authorization = value
            elif name == b"host":
                self.host = value
            elif name == b"cookie":
                self.cookie = value
            elif name == b"origin":
                self.origin = value
            elif name == b"sec-fetch-site":
                self.site = value

    def cookie_named(self, name: str) -> str | None:
        for pair in self.cookie.decode("latin-1").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value
        return None


def _check_site(headers: _Headers) -> None:
    """A browser that was told by another site to change something here says so; programs say nothing.

    Source: OWASP, Cross-Site Request Forgery Prevention, "Fetch Metadata" and "Verifying Origin With Standard Headers".
    """
    if headers.site:
        if headers.site in _OWN_SITE:
            return
    elif not headers.origin or headers.origin.partition(b"//")[2] == headers.host:
        return
    raise Forbidden("the request comes from a page of another site: nothing was changed", "cross_site")


def _check_loopback(scope: Scope, headers: _Headers) -> None:
    """Without access control only this machine is answered, and only under a name no other site can take (DNS rebinding)."""
    server = scope.get("server")
    if server is not None and not _is_own(server[0]):
        raise Forbidden(
            f"without access control only a loopback address is answered, not {server[0]}: set DUALRUN_ACCESS=required", "not_loopback"
        )
    if headers.host and not _is_own(_host_of(headers.host)):
        raise Forbidden("without access control only localhost and addresses are names for it: set DUALRUN_ACCESS=required", "foreign_host")


@lru_cache(maxsize=64)
def _host_of(header: bytes) -> str:
    text = header.decode("latin-1")
    return text[1 : text.find("]")] if text.startswith("[") else text.partition(":")[0]


@lru_cache(maxsize=64)
def _is_own(host: str) -> bool:
    """A loopback address, or a name that is nobody's in the public DNS: without a dot, or below `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host or host.lower().endswith(".localhost")
