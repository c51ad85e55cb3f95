"""What a catalogue answers from: tasks and live workers at one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dualrun.contracts import ServedTask, Side
from gateway.core.known_worker import KnownWorker

__all__ = ["CatalogueSnapshot", "LiveWorker"]


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker, what it serves, and until when it counts as alive (by the clock of whoever built the snapshot)."""

    side: Side
    tasks: Collection[str]
    alive_until: float
    name: str = ""
    service: str = ""
    ttl_s: float = 30.0
    """How long an announcement holds: it was last seen as long before `alive_until`."""

    def as_known(self, now: float) -> KnownWorker:
        """The worker as people are told of it."""
        return KnownWorker(
            name=self.name,
            side=self.side,
            service=self.service,
            tasks=self.tasks,
            seen_s_ago=max(0.0, now - self.alive_until + self.ttl_s),
            alive=self.alive_until > now,
        )


@dataclass(frozen=True, slots=True)
class CatalogueSnapshot:
    """Immutable; a catalogue replaces it whole, so that readers in any thread need no lock."""

    tasks: Mapping[str, Mapping[Side, ServedTask]] = field(default_factory=dict)
    alive_until: Mapping[tuple[Side, str], tuple[float, ...]] = field(default_factory=dict)
    workers: tuple[LiveWorker, ...] = ()

    @classmethod
    def of(cls, tasks: Mapping[Side, Iterable[ServedTask]], workers: Iterable[LiveWorker]) -> CatalogueSnapshot:
        """The snapshot of tasks by side, and workers."""
        by_task: defaultdict[str, dict[Side, ServedTask]] = defaultdict(dict)
        for side, served in tasks.items():
            for task in served:
                by_task[task.task][side] = task
        alive: defaultdict[tuple[Side, str], list[float]] = defaultdict(list)
        workers = tuple(workers)
        for worker in workers:
            for name in worker.tasks:
                alive[worker.side, name].append(worker.alive_until)
        return cls(dict(by_task), {key: tuple(times) for key, times in alive.items()}, workers)

    def served_by(self, task: str) -> Mapping[Side, ServedTask]:
        """Per side, how it serves the task."""
        return self.tasks.get(task, _NOBODY)

    def live_workers(self, side: Side, task: str, now: float) -> int:
        """Workers of that side alive at `now` that serve the task."""
        return sum(until > now for until in self.alive_until.get((side, task), ()))

    def workers_of(self, side: Side, tasks: Collection[str], now: float) -> int:
        """Workers of that side alive at `now` that serve any of the tasks."""
        alive = (worker for worker in self.workers if worker.side is side and worker.alive_until > now)
        return sum(not set(worker.tasks).isdisjoint(tasks) for worker in alive)

    def known_workers(self, now: float) -> Sequence[KnownWorker]:
        """Every worker in it, by side and name."""
        return sorted((worker.as_known(now) for worker in self.workers), key=lambda worker: (worker.side, worker.name))


_NOBODY: Mapping[Side, ServedTask] = {}
