"""Who sends a request, as the guard found it."""

from __future__ import annotations

from starlette.requests import Request

from gateway.core.access import Identity, Permission, Via
from gateway.core.errors import Forbidden

__all__ = ["ANYBODY", "author_of", "caller_of", "require_task"]

ANYBODY = Identity(name="", via=Via.OPEN, permissions=frozenset(Permission))
"""Everybody, while access control is off."""
_UNSAID = frozenset({"", "api", "cli", "console"})
_LONGEST = 200


def caller_of(request: Request) -> Identity:
    """Who it is; everybody where access control is off."""
    caller = request.scope.get("caller", ANYBODY)
    assert isinstance(caller, Identity)
    return caller


def author_of(request: Request, said: str) -> str:
    """Whose change this is: who is known to send it, and in brackets who they say they are."""
    known = caller_of(request).name
    if not known:
        return said
    return known if said in _UNSAID or said == known else f"{known} ({said})"[:_LONGEST]


def require_task(request: Request, task: str) -> None:
    """Raises `Forbidden` where the task is out of the caller's reach."""
    caller = request.scope.get("caller")
    if caller is not None and not caller.reaches(task):
        raise out_of_reach(caller, task)


def out_of_reach(caller: Identity, task: str) -> Forbidden:
    """The error for a task the caller may not touch."""
    return Forbidden(f"{caller.name!r} may touch {', '.join(caller.tasks)}, and {task!r} is none of them", "task_out_of_reach")
