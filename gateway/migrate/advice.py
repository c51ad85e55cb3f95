"""What a scan suggests: how safe a shadow of a task is, how hard it is to move, and in which order to go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dualrun.contracts import Safety
from gateway.migrate.finding import CallSite, Schedule, Touch

__all__ = ["Advice", "Reason", "order_of", "safety_of"]

# What the runtime captures of a shadow instead of performing it: docs/safety.md.
_CAPTURED = frozenset({"http", "sql", "email", "cache", "files", "tasks"})
_HARMLESS = frozenset({"chance", "clock", "waits"})


class Reason(msgspec.Struct, frozen=True):
    """Why a task is not simply ready, and where."""

    line: int
    text: str
    blocks: bool


class Advice(msgspec.Struct, frozen=True):
    """What is suggested for one task."""

    task: str
    file: str
    line: int
    safety: str
    safety_reason: str
    difficulty: str
    reasons: list[Reason]
    touches: list[Touch]
    callers: list[CallSite]
    canvas: bool
    """Whether it is part of a chain, group or chord."""
    schedules: list[Schedule]
    notes: list[str]
    """Options without a meaning for a handler."""


def safety_of(touches: Sequence[Touch]) -> tuple[Safety, str]:
    """The suggested safety class, and why."""
    kinds = sorted({touch.kind for touch in touches} - _HARMLESS)
    if not kinds:
        return Safety.PURE, "nothing it calls reaches beyond its arguments, as far as the source shows"
    outside = [kind for kind in kinds if kind not in _CAPTURED]
    if not outside:
        where = " (files: in the places that DUALRUN_FILE_PLACES names, refused elsewhere)" if "files" in kinds else ""
        return Safety.SANDBOXED, f"it reaches {', '.join(kinds)}: captured in a shadow{where}"
    return Safety.UNSAFE, f"it reaches {', '.join(kinds)}: {', '.join(outside)} cannot be captured, or is not known"


def order_of(tasks: Sequence[str], calls: Mapping[str, set[str]], together: Sequence[set[str]]) -> list[list[str]]:
    """Groups of tasks in the order to move them: those that dispatch nothing first, tasks of one canvas or of a circle together."""
    group = {task: task for task in tasks}

    def root(task: str) -> str:
        while group[task] != task:
            task = group[task]
        return task

    for members in together:
        known = sorted(member for member in members if member in group)
        for member in known[1:]:
            group[root(member)] = root(known[0])
    waiting: dict[str, list[str]] = {}
    for task in tasks:
        waiting.setdefault(root(task), []).append(task)
    needs = {
        name: {root(child) for member in members for child in calls.get(member, ()) if child in group} - {name}
        for name, members in waiting.items()
    }
    order: list[list[str]] = []
    while waiting:
        ready = [name for name in waiting if not needs[name] & waiting.keys()]
        # A circle: the group that waits for the fewest others goes first.
        chosen = ready or [min(waiting, key=lambda name: (len(needs[name] & waiting.keys()), name))]
        order += [sorted(set(waiting.pop(name))) for name in chosen]
    return order
