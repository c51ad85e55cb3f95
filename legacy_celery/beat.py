"""Beat through the gateway: a periodic task follows its flag like any other, so a tick never fires on both sides.

`celery -A proj beat -S legacy_celery.beat:GatewayScheduler`. Entries stay where they are: `DUALRUN_BEAT_SCHEDULER` names the scheduler
class that keeps them (`django_celery_beat.schedulers:DatabaseScheduler`), Celery's own file where it is unset.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from celery.exceptions import ImproperlyConfigured
from celery.utils.imports import symbol_by_name

from legacy_celery.tick import OptionNotCarried, options_not_carried, tick_of
from legacy_celery.tick_outbox import TickOutbox

__all__ = ["GatewayScheduler", "ThroughGateway", "through_gateway"]

log = logging.getLogger(__name__)

_DEFAULT = "celery.beat:PersistentScheduler"
# Celery's housekeeping (celery.backend_cleanup) is no task to migrate.
_CELERYS_OWN = "celery."


class ThroughGateway(Scheduler):  # type: ignore[misc]  # celery has no types
    """Mixed in before any scheduler class: its due entries become submissions, each tick once.

    A tick is written down before it is sent, and tried until the gateway has it or the entry's next tick is due; then it is lost, and
    an error in the log. Ticks of one entry in several beats carry one Idempotency-Key, and run once.
    """

    producer = None
    """No connection to the broker is made for ticks."""

    def __init__(self, app: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401 - celery's own arguments
        filename = options.get("schedule_filename") or app.conf.beat_schedule_filename
        self._outbox = TickOutbox(Path(f"{filename}.ticks"))
        self._ran_at: dict[str, datetime] = {}
        super().__init__(app, *args, **options)

    def setup_schedule(self) -> None:
        """As the scheduler's own. Raises `ImproperlyConfigured` for an entry of the settings that asks for more than can be carried.

        One that is kept elsewhere, in a database, is an error in the log, now and at each of its ticks: the others go on.
        """
        for name, entry in self.app.conf.beat_schedule.items():
            refused = options_not_carried(entry.get("options") or {})
            if refused:
                raise ImproperlyConfigured(str(OptionNotCarried(name, refused)))
        super().setup_schedule()
        for entry in self.schedule.values():
            refused = options_not_carried(entry.options)
            if refused and not entry.task.startswith(_CELERYS_OWN):
                log.error("beat_entry_refused %s", OptionNotCarried(entry.name, refused))

    def tick(self, *args: Any, **options: Any) -> float:  # noqa: ANN401 - celery's own arguments
        """As the scheduler's own, and what waits is tried again."""
        again_s = self._outbox.deliver()
        pause_s: float = super().tick(*args, **options)
        return pause_s if again_s is None else min(pause_s, again_s)

    def reserve(self, entry: ScheduleEntry) -> ScheduleEntry:
        """As the scheduler's own; when the entry was found due is remembered for its tick."""
        following = super().reserve(entry)
        self._ran_at[entry.name] = following.last_run_at
        return following

    def apply_async(self, entry: ScheduleEntry, producer: object = None, advance: bool = True, **options: object) -> object:
        """Submit a due entry instead of publishing it. Nothing is raised for a gateway that is away: the tick is kept."""
        if entry.task.startswith(_CELERYS_OWN):
            return super().apply_async(entry, producer=None, advance=advance, **options)
        if advance:
            self.reserve(entry)
        ran_at = self._ran_at.pop(entry.name, None) or entry.default_now()
        tick = tick_of(entry, ran_at, app_name=self.app.main or "")
        self._outbox.add(tick)
        self._outbox.deliver()
        self._tasks_since_sync += 1
        if self.should_sync():
            self._do_sync()
        return SimpleNamespace(id=tick.key)

    def close(self) -> None:
        """As the scheduler's own; ticks that wait go on when beat starts again."""
        if len(self._outbox):
            log.warning("beat_ticks_kept count=%d", len(self._outbox))
        super().close()

    @property
    def info(self) -> str:
        """For the banner."""
        return f"{super().info}\n    . gateway -> {os.environ.get('DUALRUN_GATEWAY_URL', 'http://127.0.0.1:8080')}"


def through_gateway(scheduler: type[Scheduler]) -> type[Scheduler]:
    """The scheduler class with its ticks going through the gateway."""
    return type(f"Gateway{scheduler.__name__}", (ThroughGateway, scheduler), {"__module__": __name__})


GatewayScheduler = through_gateway(symbol_by_name(os.environ.get("DUALRUN_BEAT_SCHEDULER") or _DEFAULT))
