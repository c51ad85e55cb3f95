"""Say whether a task can be moved, from what was observed of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from dualrun.contracts import Side
from gateway.core.errors import NotFound, StoreUnavailable
from gateway.core.ports import CallerAct, CallerCounts, Catalogue, LedgerReader
from gateway.core.readiness import Readiness, examine
from gateway.core.report import ReportScope

__all__ = ["ExamineTask"]

_LOOKED_AT = 300


class ExamineTask:
    """Looks at a task's latest submissions and at how the workers serve it."""

    def __init__(
        self,
        ledger: LedgerReader,
        catalogue: Catalogue,
        callers: CallerCounts,
        *,
        now: Callable[[], datetime],
        deadline_s: float,
        max_body_bytes: int,
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._callers = callers
        self._now = now
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes

    async def __call__(self, task: str) -> Readiness:
        """Raises `NotFound` for a task nobody serves and nobody submitted, `StoreUnavailable`."""
        views = await self._ledger.latest(task, _LOOKED_AT)
        served = self._catalogue.served_by(task)
        if not views and not served:
            raise NotFound(f"no worker serves {task!r}, and it was never submitted")
        report = await self._ledger.shadow_report(ReportScope(task=task), now=self._now())
        alive = (worker for worker in self._catalogue.workers() if worker.side is Side.EVENTS and worker.alive)
        return examine(
            task,
            views,
            served,
            deadline_s=self._deadline_s,
            max_body_bytes=self._max_body_bytes,
            services={worker.service for worker in alive if task in worker.tasks},
            callers=await self._counted(task),
            ran_again=report.tasks[0].ran_again,
        )

    async def _counted(self, task: str) -> Mapping[CallerAct, int] | None:
        """None where it cannot be known now: the rest of the examination does without."""
        try:
            return await self._callers.of_task(task)
        except StoreUnavailable:
            return None
