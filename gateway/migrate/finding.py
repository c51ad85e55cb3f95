"""What a scan finds, as it is printed. Files are relative to the scanned path, lines count from 1."""

from __future__ import annotations

import msgspec

from dualrun.contracts import JsonValue

__all__ = ["CallSite", "FoundParameter", "FoundTask", "Route", "Scan", "Schedule", "Totals", "Touch", "Unparsed"]


class FoundParameter(msgspec.Struct, frozen=True):
    """A parameter of a task's body, without the `self` of a bound task. `*args` and `**kwargs` keep their stars."""

    name: str
    required: bool
    keyword_only: bool
    annotation: str | None
    default: str | None
    """Source text."""


class FoundTask(msgspec.Struct, frozen=True):
    """A task as Celery would register it."""

    name: str
    name_certain: bool
    """False where the name depends on something the source does not say; `name` is then the best guess or the expression."""
    file: str
    line: int
    """Of `def`, `class`, or the call that makes the task."""
    symbol: str
    decorator: str
    """What makes it a task, as written: `app.task`, `shared_task`, `app.register_task`, a project's own decorator."""
    options: dict[str, JsonValue]
    """Constants resolved; anything else is its source text."""
    parameters: list[FoundParameter]
    uses_self_retry: bool
    is_async: bool
    returns_value: bool


class Touch(msgspec.Struct, frozen=True):
    """Something a task reaches beyond its arguments: `http`, `sql`, `email`, `cache`, `files`, `tasks`, ..., or `unknown`."""

    kind: str
    line: int
    """In the task's file."""
    deeper: bool
    """Whether it is in a function the task calls."""


class CallSite(msgspec.Struct, frozen=True):
    """A place that dispatches tasks. `task` is None where the source does not say which."""

    file: str
    line: int
    kind: str
    task: str | None
    options: dict[str, JsonValue] = {}
    """Of `apply_async`, `send_task` and `set`: queue, countdown, headers, ...; constants resolved, anything else as source text."""


class Schedule(msgspec.Struct, frozen=True):
    """An entry of a beat schedule. `when` is seconds where it is a number, and source text otherwise."""

    file: str
    line: int
    task: str | None
    when: JsonValue
    args: JsonValue = None
    """What the task is started with; constants resolved, anything else as source text. None where the entry gives none."""
    kwargs: JsonValue = None


class Route(msgspec.Struct, frozen=True):
    """A rule of the task routes. `task` is a name or pattern; None for a router that is code, whose source text is `route`."""

    file: str
    line: int
    task: str | None
    route: JsonValue


class Unparsed(msgspec.Struct, frozen=True):
    """A file that was not read, and why."""

    file: str
    line: int | None
    reason: str


class Totals(msgspec.Struct, frozen=True):
    """How much was read and found."""

    files: int
    lines: int
    tasks: int
    call_sites: int
    schedules: int
    routes: int
    unparsed: int


class Scan(msgspec.Struct, frozen=True):
    """Everything found, in the order of files and lines."""

    tasks: list[FoundTask]
    call_sites: list[CallSite]
    schedules: list[Schedule]
    routes: list[Route]
    unparsed: list[Unparsed]
    totals: Totals
