"""The catalogue when workers and gateway live in one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from dualrun.contracts import Announcement, ServedTask, Side
from gateway.catalogue.snapshot import CatalogueSnapshot, LiveWorker
from gateway.core.known_worker import KnownWorker

__all__ = ["MemoryCatalogue"]


class MemoryCatalogue:
    """`Catalogue` and `Announcer` in one: what is announced is served at once. Any thread may call any method."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[Side, dict[str, ServedTask]] = {side: {} for side in Side}
        self._workers: dict[tuple[Side, str], LiveWorker] = {}
        self._snapshot = CatalogueSnapshot()

    def announce(self, announcement: Announcement) -> None:
        """Say (again) what a worker serves."""
        names = frozenset(task.task for task in announcement.tasks)
        worker = LiveWorker(
            announcement.side, names, self._clock() + announcement.ttl_s, announcement.worker, announcement.service, announcement.ttl_s
        )
        with self._lock:
            ours = [task for task in announcement.tasks if not self._is_elsewhere(announcement, task)]
            self._tasks[announcement.side].update((task.task, task) for task in ours)
            self._workers[announcement.side, announcement.worker] = worker
            self._renew()

    def withdraw(self, announcement: Announcement) -> None:
        """The worker leaves. Its tasks stay known; it no longer counts as alive."""
        with self._lock:
            self._workers.pop((announcement.side, announcement.worker), None)
            self._renew()

    def served_by(self, task: str) -> Mapping[Side, ServedTask]:
        """Per side that has ever announced the task, how it serves it."""
        return self._snapshot.served_by(task)

    def names(self) -> Collection[str]:
        """Every task ever announced."""
        return self._snapshot.tasks.keys()

    def live_workers(self, side: Side, task: str) -> int:
        """Workers alive now that serve the task."""
        return self._snapshot.live_workers(side, task, self._clock())

    def workers_of(self, side: Side, tasks: Collection[str]) -> int:
        """Workers alive now that serve any of the tasks."""
        return self._snapshot.workers_of(side, tasks, self._clock())

    def workers(self) -> Sequence[KnownWorker]:
        """Every worker alive, and those that fell silent lately."""
        return self._snapshot.known_workers(self._clock())

    @property
    def current(self) -> bool:
        """Always: workers announce themselves in this process."""
        return True

    def _is_elsewhere(self, announcement: Announcement, task: ServedTask) -> bool:
        """Whether it belongs to another service, which has a worker alive: theirs are the submissions."""
        held = self._tasks[announcement.side].get(task.task)
        if held is None or held.service in {"", announcement.service}:
            return False
        alive = (worker for worker in self._workers.values() if worker.side is announcement.side and worker.alive_until > self._clock())
        return any(worker.service == held.service and task.task in worker.tasks for worker in alive)

    def _renew(self) -> None:
        tasks = {side: served.values() for side, served in self._tasks.items()}
        self._snapshot = CatalogueSnapshot.of(tasks, self._workers.values())
