"""What a scheduler answers when it is asked."""

from __future__ import annotations

from dualrun.exposition import Family, Sample, exposition
from event_handlers.schedule.scheduler import Scheduler

__all__ = ["SchedulerHealth"]


class SchedulerHealth:
    """Implements `Health`. A scheduler whose ticks wait is well: it is the broker or Redis that is away."""

    def __init__(self, scheduler: Scheduler, service: str, *, schedules: int) -> None:
        self._scheduler = scheduler
        self._at = {"service": service}
        self._schedules = schedules

    def fault(self) -> str | None:
        return None

    def not_ready(self) -> str | None:
        return None

    def metrics(self) -> bytes:
        ticks = [Sample(number, {**self._at, "result": result}) for result, number in self._scheduler.counts().items()]
        return exposition(
            [
                Family("dualrun_scheduler_schedules", "gauge", "Schedules there are", [Sample(self._schedules, self._at)]),
                Family("dualrun_scheduler_ticks_total", "counter", "Ticks by what became of them here", ticks),
                Family(
                    "dualrun_scheduler_overdue_seconds",
                    "gauge",
                    "How long the oldest tick that has come is without an event",
                    [Sample(self._scheduler.overdue_s(), self._at)],
                ),
            ]
        )
