"""Celery's canvas: what a task is sent with, to be run after it. Those are children as well, of whoever starts the canvas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

__all__ = ["Follower", "followers"]


class Follower(NamedTuple):
    """A task that will run once another has ended."""

    name: str
    args: Sequence[object]
    kwargs: Mapping[str, object]
    takes_result: bool
    """True where the result of what it follows is put before its arguments."""
    on_error: bool = False
    """True where it runs only if what it follows fails."""


def followers(options: Mapping[str, object]) -> Iterator[Follower]:
    """What the options of one task say is to follow it: the rest of its chain, the body of its chord, its callbacks. In that order."""
    # Kept the last step first.
    for step in reversed(_listed(options.get("chain"))):
        yield from _tasks_of(step)
    # Every task of the header is sent with the body, which runs once.
    if not options.get("group_index"):
        for body in _listed(options.get("chord")):
            yield from _tasks_of(body)
    for callback in _listed(options.get("link")):
        yield from _tasks_of(callback)
    for errback in _listed(options.get("link_error")):
        for task in _tasks_of(errback):
            yield task._replace(on_error=True)


def _listed(given: object) -> list[Mapping[str, object]]:
    signatures = given if isinstance(given, list | tuple) else [given]
    return [signature for signature in signatures if isinstance(signature, Mapping)]


def _tasks_of(signature: Mapping[str, object]) -> Iterator[Follower]:
    """The tasks of a signature, which may be a canvas itself."""
    kwargs, options = signature.get("kwargs"), signature.get("options")
    kwargs = kwargs if isinstance(kwargs, Mapping) else {}
    match signature.get("subtask_type"):
        case "chain" | "group":
            for task in _listed(kwargs.get("tasks")):
                yield from _tasks_of(task)
        case "chord":
            for task in [*_listed(kwargs.get("header")), *_listed(kwargs.get("body"))]:
                yield from _tasks_of(task)
        case _:
            args = signature.get("args")
            yield Follower(
                str(signature.get("task")), args if isinstance(args, list | tuple) else (), kwargs, not signature.get("immutable")
            )
    if isinstance(options, Mapping):
        yield from followers(options)
