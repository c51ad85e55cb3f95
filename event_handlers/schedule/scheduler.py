"""Publishing the events of schedules when they are due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from dualrun.errors import BrokerError, ConfigurationError
from event_handlers.publisher import EventPublisher
from event_handlers.registry import members_of
from event_handlers.schedule.cron import Schedule
from event_handlers.schedule.ticks import CLAIM_S, Ticks, TicksUnavailable

__all__ = ["Scheduler", "collect_schedules"]

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = CLAIM_S / 2
"""When something did not work out: soon enough that a dead scheduler's tick is hardly late."""
_LONGEST_SLEEP_S = 60.0
"""The clock of the wall may be set meanwhile."""


class Scheduler:
    """One of any number of schedulers of a service; broker and store are opened and closed by whoever made them.

    Of them, whoever claims a tick publishes its event. One that dies in between is followed by another, so an event may come twice after a
    crash: with the same id, which an inbox recognises. While the store or the broker is away, or nobody listens, ticks wait.
    """

    def __init__(
        self,
        publisher: EventPublisher,
        schedules: Iterable[Schedule],
        ticks: Ticks,
        *,
        service: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._publisher = publisher
        self._schedules = tuple(schedules)
        self._ticks = ticks
        self._service = service
        self._now = now
        self._counts = {"published": 0, "delayed": 0}
        self._settled: dict[str, datetime] = {}
        """The last tick of each schedule that is known to have had its event."""
        names = [schedule.name for schedule in self._schedules]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ConfigurationError(f"two schedules are named {min(twice)!r}: give one another name=")

    def counts(self) -> Mapping[str, int]:
        """Ticks since it was made, by what became of them here: one that is delayed is tried again."""
        return dict(self._counts)

    def overdue_s(self) -> float:
        """How long the oldest tick that has come is without an event, as far as this scheduler knows."""
        now = self._now()
        ticks = [tick for schedule in self._schedules if (tick := schedule.due(now)) and self._settled.get(schedule.name) != tick]
        return max(((now - tick).total_seconds() for tick in ticks), default=0.0)

    async def run(self) -> None:
        """Publish what is due, for ever."""
        while True:
            is_done = await self.publish_due()
            await asyncio.sleep(self.sleep_s() if is_done else _LOOK_AGAIN_S)

    def sleep_s(self) -> float:
        """Seconds until the next tick of any schedule."""
        now = self._now()
        nearest = min((schedule.next_after(now) for schedule in self._schedules), default=None)
        return _LONGEST_SLEEP_S if nearest is None else min(_LONGEST_SLEEP_S, max(0.0, (nearest - now).total_seconds()))

    async def publish_due(self) -> bool:
        """Publish the event of every tick that has come and had none yet; False where one is left to look after."""
        now = self._now()
        results = [await self._publish(schedule, tick) for schedule in self._schedules if (tick := schedule.due(now)) is not None]
        return all(results)

    async def _publish(self, schedule: Schedule, tick: datetime) -> bool:
        if self._settled.get(schedule.name) == tick:
            return True
        try:
            is_ours = await self._ticks.claim(schedule.name, tick)
            if is_ours:
                event_id = schedule.event_id(self._service, tick)
                await self._publisher.publish(schedule.type, schedule.payload, event_id=event_id)
                await self._ticks.published(schedule.name, tick)
        except (BrokerError, TicksUnavailable) as exc:
            self._counts["delayed"] += 1
            log.warning("tick_delayed", extra={"schedule": schedule.name, "tick": tick.isoformat(), "error": str(exc)})
            return False
        if is_ours is None:
            return False
        if is_ours:
            self._counts["published"] += 1
            log.info("tick_published", extra={"schedule": schedule.name, "tick": tick.isoformat(), "task": schedule.type})
        self._settled[schedule.name] = tick
        return True


def collect_schedules(module_name: str) -> tuple[Schedule, ...]:
    """The schedules of a module, or of a package and all its submodules. Raises `ConfigurationError` where the module is not there."""
    return tuple({id(found): found for found in members_of(module_name) if isinstance(found, Schedule)}.values())
