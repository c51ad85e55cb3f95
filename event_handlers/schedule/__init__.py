"""Periodic events: at every tick of a cron expression one event, from however many schedulers run.

    nightly = Schedule("0 0 * * *", "report.daily.requested", timezone="Europe/Berlin")

stands in a module of handlers; `python -m event_handlers.schedule --handlers proj.handlers` publishes its events.
"""

from __future__ import annotations

from event_handlers.schedule.cron import Schedule
from event_handlers.schedule.scheduler import Scheduler, collect_schedules
from event_handlers.schedule.ticks import MemoryTicks, Ticks, TicksUnavailable

__all__ = ["MemoryTicks", "Schedule", "Scheduler", "Ticks", "TicksUnavailable", "collect_schedules"]
