"""What has been generated into a folder, run after run: the files about all of it are made from this."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.migrate.finding import FoundParameter, Route, Schedule, Unparsed
from gateway.migrate.generate.decision import Decision

__all__ = ["GeneratedTask", "Inventory", "ScannedSource"]


class GeneratedTask(msgspec.Struct, frozen=True):
    """A task that has a handler."""

    task: str
    module: str
    """Of the handler. A task keeps it, whatever other tasks come."""
    file: str
    line: int
    difficulty: str
    in_thread: bool
    safety: str
    safety_reason: str
    decisions: list[Decision]
    notes: list[str]
    parameters: list[FoundParameter]


class ScannedSource(msgspec.Struct, frozen=True):
    """A code base that handlers were generated from, as it was last."""

    whole: bool
    """Whether all of its tasks were asked for once."""
    schedules: list[Schedule] = []
    routers: list[Route] = []
    unparsed: list[Unparsed] = []
    repeated: list[str] = []
    """Names that more than one task has."""


class Inventory(msgspec.Struct, frozen=True):
    """Tasks by name, and code bases by what they are called."""

    tasks: dict[str, GeneratedTask] = {}
    sources: dict[str, ScannedSource] = {}

    @property
    def in_order(self) -> Sequence[GeneratedTask]:
        """The tasks, as they stand in the source."""
        return sorted(self.tasks.values(), key=lambda task: (task.file, task.line, task.task))

    @property
    def schedules(self) -> list[Schedule]:
        """Those of every code base."""
        return [schedule for source in self.sources.values() for schedule in source.schedules]

    def after(self, tasks: Sequence[GeneratedTask], name: str, source: ScannedSource) -> Inventory:
        """What there is once these tasks of a code base were generated too."""
        return Inventory({**self.tasks, **{task.task: task for task in tasks}}, {**self.sources, name: source})
