"""What is known of the workers and what they serve."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from dualrun.contracts import ServedTask, Side
from gateway.core.known_worker import KnownWorker

__all__ = ["Catalogue"]


class Catalogue(Protocol):
    """Which tasks the sides serve, from memory: the hot path asks it for every submission."""

    def served_by(self, task: str) -> Mapping[Side, ServedTask]:
        """Per side that has ever announced the task, how it serves it. Empty where none has."""
        ...

    def names(self) -> Collection[str]:
        """Every task ever announced."""
        ...

    def live_workers(self, side: Side, task: str) -> int:
        """Workers alive now that serve the task."""
        ...

    def workers_of(self, side: Side, tasks: Collection[str]) -> int:
        """Workers alive now that serve any of the tasks; those last known to be while that is not `current`, for they still work."""
        ...

    def workers(self) -> Sequence[KnownWorker]:
        """Every worker alive, and those that fell silent lately, by side and name."""
        ...

    @property
    def current(self) -> bool:
        """Whether that is news: False while nothing is heard of workers, alive or not."""
        ...
