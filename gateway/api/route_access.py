"""What each route asks of its caller: one table. A route without an entry keeps the application from being made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from starlette.routing import BaseRoute, Mount, Route, compile_path

from gateway.api.caller import out_of_reach
from gateway.core.access import ALL_TASKS, Identity, Permission
from gateway.core.errors import AccessDenied, Forbidden, Unauthenticated

__all__ = ["ACCESS", "HOW_TO_SHOW_A_TOKEN", "Access", "Concerns", "Declared", "RouteTable", "declared"]

HOW_TO_SHOW_A_TOKEN = "send `Authorization: Bearer TOKEN`; an administrator creates one with `dualrun tokens create`"  # noqa: S105 - words


class Concerns(StrEnum):
    """What of the installation a route shows or changes."""

    NOTHING = "nothing"
    """No task."""
    TASK = "task"
    """The task in its path."""
    CONTENT = "content"
    """The tasks its body or its answer names: the endpoint looks."""
    ALL = "all"
    """Every task: callers who may touch some alone are refused."""


@dataclass(frozen=True, slots=True)
class Access:
    """What one route asks."""

    any_of: frozenset[Permission]
    """The caller has one of these; empty: anybody may ask."""
    concerns: Concerns = Concerns.ALL
    action: str = ""
    """What it changes, as the audit log calls it; empty: nothing."""
    waits: bool = False
    """Its answer may take as long as the caller likes."""

    @property
    def needed(self) -> str:
        """The permissions that let a caller in, in words; empty: anybody."""
        return " or ".join(sorted(self.any_of))

    def refusal(self, task: str, caller: Identity | None) -> AccessDenied | None:
        """Why this caller, or a stranger, may not; None where it may. `task` is what the path names."""
        if not self.any_of:
            return None
        if caller is None:
            return Unauthenticated(f"no access token: {HOW_TO_SHOW_A_TOKEN}")
        if self.any_of.isdisjoint(caller.permissions):
            return Forbidden(f"{caller.name!r} does not have the permission {self.needed}", "permission_missing")
        if caller.tasks is not ALL_TASKS and caller.is_scoped:
            if self.concerns is Concerns.TASK and not caller.reaches(task):
                return out_of_reach(caller, task)
            if self.concerns is Concerns.ALL:
                only = ", ".join(caller.tasks)
                return Forbidden(f"{caller.name!r} may touch {only} alone, and this concerns every task", "task_out_of_reach")
        return None


_SUBMIT, _VIEW, _OPERATE, _ADMIN = Permission


def _of(*any_of: Permission, concerns: Concerns = Concerns.ALL, action: str = "", waits: bool = False) -> Access:
    return Access(frozenset(any_of), concerns, action, waits)


_PUBLIC = _of(concerns=Concerns.NOTHING)
_READ = _of(_VIEW)
_READ_TASK = _of(_VIEW, concerns=Concerns.TASK)


def _change(action: str, concerns: Concerns = Concerns.ALL) -> Access:
    return _of(_OPERATE, concerns=concerns, action=action)


ACCESS: Mapping[tuple[str, str], Access] = {
    ("POST", "/v1/tasks"): _of(_SUBMIT, concerns=Concerns.CONTENT),
    ("POST", "/v1/tasks/batch"): _of(_SUBMIT, concerns=Concerns.CONTENT),
    ("GET", "/v1/tasks/{submission_id}"): _of(_SUBMIT, _VIEW, concerns=Concerns.CONTENT),
    ("GET", "/v1/tasks/{submission_id}/result"): _of(_SUBMIT, _VIEW, concerns=Concerns.CONTENT, waits=True),
    ("POST", "/v1/tasks/{submission_id}/replay"): _of(_SUBMIT, concerns=Concerns.CONTENT, action="task.submit_again"),
    ("DELETE", "/v1/tasks/{submission_id}"): _of(_SUBMIT, _OPERATE, concerns=Concerns.CONTENT, action="task.cancel"),
    ("GET", "/v1/flags"): _READ,
    ("PUT", "/v1/flags"): _change("flags.replace"),
    ("GET", "/v1/flags/history"): _READ,
    ("GET", "/v1/flags/history/{version}"): _READ,
    ("POST", "/v1/flags/rollback"): _change("flags.rollback"),
    ("GET", "/v1/flags/{task}"): _READ_TASK,
    ("PUT", "/v1/flags/{task}"): _change("flag.set", Concerns.TASK),
    ("POST", "/v1/flags/{task}/rollback"): _change("flag.rollback", Concerns.TASK),
    ("GET", "/v1/flags/{task}/gate"): _READ_TASK,
    ("GET", "/v1/flags/{task}/in-flight"): _of(_VIEW, concerns=Concerns.TASK, waits=True),
    ("POST", "/v1/flags/{task}/promote"): _change("flag.promote", Concerns.TASK),
    ("POST", "/v1/flags/{task}/hold"): _change("flag.hold", Concerns.TASK),
    ("GET", "/v1/breakers"): _READ,
    ("GET", "/v1/queues"): _READ,
    ("GET", "/v1/dead-letters"): _READ,
    ("GET", "/v1/dead-letters/{queue}/{id}"): _READ,
    ("POST", "/v1/dead-letters/{queue}/{id}/replay"): _change("dead_letter.replay"),
    ("POST", "/v1/dead-letters/{queue}/{id}/discard"): _change("dead_letter.discard"),
    ("GET", "/v1/differences"): _READ,
    ("GET", "/v1/differences/{fingerprint}"): _READ,
    ("PUT", "/v1/differences/{fingerprint}"): _change("difference.triage"),
    ("GET", "/v1/doctor"): _READ,
    ("GET", "/v1/doctor/{task}"): _READ_TASK,
    ("GET", "/v1/reports/shadow"): _READ,
    ("GET", "/v1/reports/shadow/{task}"): _READ_TASK,
    ("GET", "/v1/events"): _of(_VIEW, waits=True),
    ("GET", "/v1/catalogue"): _READ,
    ("GET", "/v1/audit"): _of(_OPERATE),
    ("GET", "/v1/tokens"): _of(_ADMIN),
    ("POST", "/v1/tokens"): _of(_ADMIN, action="token.create"),
    ("DELETE", "/v1/tokens/{id}"): _of(_ADMIN, action="token.revoke"),
    # For whoever keeps the process running: they hold no payload.
    ("GET", "/healthz"): _PUBLIC,
    ("GET", "/readyz"): _PUBLIC,
    ("GET", "/metrics"): _PUBLIC,
    # What this version can do is no secret.
    ("GET", "/openapi.json"): _PUBLIC,
    ("GET", "/docs"): _PUBLIC,
    ("GET", "/"): _PUBLIC,
    ("GET", "/console/static/{path:path}"): _PUBLIC,
    ("GET", "/console/"): _READ,
    ("GET", "/console/login"): _PUBLIC,
    ("POST", "/console/login"): _of(concerns=Concerns.NOTHING, action="session.begin"),
    ("GET", "/console/login/oidc"): _PUBLIC,
    ("GET", "/console/login/oidc/callback"): _of(concerns=Concerns.NOTHING, action="session.begin"),
    ("POST", "/console/logout"): _of(concerns=Concerns.NOTHING, action="session.end"),
    ("GET", "/console/tasks/{task:path}"): _READ_TASK,
    ("POST", "/console/tasks/{task:path}/rollback"): _change("flag.rollback", Concerns.TASK),
    ("POST", "/console/tasks/{task:path}/promote"): _change("flag.promote", Concerns.TASK),
    ("POST", "/console/tasks/{task:path}/hold"): _change("flag.hold", Concerns.TASK),
    ("GET", "/console/tasks/{task:path}/activity"): _READ_TASK,
    ("GET", "/console/tasks/{task:path}/submit"): _READ_TASK,
    ("POST", "/console/tasks/{task:path}/submit"): _of(_SUBMIT, concerns=Concerns.TASK, action="task.submit"),
    ("GET", "/console/differences/{fingerprint}"): _READ,
    ("POST", "/console/differences/{fingerprint}"): _change("difference.triage"),
    ("POST", "/console/differences/{fingerprint}/rule"): _change("difference.rule"),
    ("GET", "/console/submissions"): _READ,
    ("GET", "/console/submissions/{id}"): _READ,
    ("POST", "/console/submissions/{id}/again"): _of(_SUBMIT, action="task.submit_again"),
    ("GET", "/console/flags"): _READ,
    ("POST", "/console/flags/rollback"): _change("flags.rollback"),
    ("GET", "/console/flags/{version:int}"): _READ,
    ("GET", "/console/breakers"): _READ,
    ("GET", "/console/audit"): _of(_OPERATE),
    ("GET", "/console/workers"): _READ,
    ("GET", "/console/dead-letters"): _READ,
    ("POST", "/console/dead-letters/replay"): _change("dead_letter.replay"),
    ("POST", "/console/dead-letters/discard"): _change("dead_letter.discard"),
    ("GET", "/console/dead-letters/{queue}/{id}"): _READ,
    ("POST", "/console/dead-letters/{queue}/{id}/replay"): _change("dead_letter.replay"),
    ("POST", "/console/dead-letters/{queue}/{id}/discard"): _change("dead_letter.discard"),
}


@dataclass(frozen=True, slots=True)
class Declared:
    """A method and a path the application serves."""

    method: str
    path: str


def declared(routes: Iterable[BaseRoute], prefix: str = "") -> list[Declared]:
    """Every method and path of these routes, in the order they are tried; HEAD is what GET is."""
    found: list[Declared] = []
    for route in routes:
        if isinstance(route, Route):
            found += [Declared(method, prefix + route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
        elif isinstance(route, Mount):
            # A mount of pages has routes; one of files has none.
            inner = declared(route.routes, prefix + route.path)
            found += inner or [Declared("GET", f"{prefix}{route.path}/{{path:path}}")]
    return found


class RouteTable:
    """Finds what a request asks of its caller, trying paths in the application's own order."""

    def __init__(self, served: Sequence[Declared], access: Mapping[tuple[str, str], Access] = ACCESS) -> None:
        missing = [f"{route.method} {route.path}" for route in served if (route.method, route.path) not in access]
        if missing:
            raise LookupError(f"nobody has said who may ask {', '.join(missing)}: add it to gateway/api/route_access.py")
        self._exact: dict[tuple[str, str], Access] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Access]] = []
        for route in served:
            entry = access[route.method, route.path]
            if "{" not in route.path:
                self._exact[route.method, route.path] = entry
            self._patterns.append((route.method, compile_path(route.path)[0], entry))

    def find(self, method: str, path: str) -> tuple[Access | None, str]:
        """What the route of a request asks, and what its path names; None where the application serves no such path."""
        method = "GET" if method == "HEAD" else method
        exact = self._exact.get((method, path)) or self._exact.get((method, f"{path}/"))
        if exact is not None:
            return exact, ""
        for served, pattern, access in self._patterns:
            if served == method and (match := pattern.match(path)):
                return access, "/".join(match.groupdict().values())
        return None, ""

    def methods_of(self, path: str) -> tuple[str, ...]:
        """The methods a path is served with."""
        return tuple(sorted({method for method, pattern, _ in self._patterns if pattern.match(path)}))
