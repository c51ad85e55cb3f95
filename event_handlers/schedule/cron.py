"""A schedule, and when it ticks: pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from dualrun.errors import ConfigurationError

__all__ = ["Schedule"]

_IDS = uuid.UUID("6f1c1f52-5d0b-4c39-9a7f-5a8f4f0c3f55")


@dataclass(frozen=True, slots=True)
class Schedule:
    """An event at every tick of `cron` (minute, hour, day of month, month, day of week), by the clock of `timezone`.

    Where clocks change, ticks fall as Debian's cron has them: a daily one once, whether its hour is missing or comes twice. Of ticks that
    nobody was there for, the latest is made up for if it is no older than `catch_up_s`. Raises `ConfigurationError`.
    """

    cron: str
    type: str
    """Of the event."""
    payload: Mapping[str, object] = field(default_factory=dict)
    timezone: str = "UTC"
    name: str = ""
    """Unique in a service; the type where it is not given."""
    catch_up_s: float = 3600.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.type)
        try:
            self.next_after(datetime.now(ZoneInfo(self.timezone)))
        except (KeyError, ValueError) as exc:
            raise ConfigurationError(f"schedule {self.name!r}: timezone {self.timezone!r} is not known") from exc
        except (CronSimError, StopIteration) as exc:
            raise ConfigurationError(f"schedule {self.name!r}: {self.cron!r} never ticks: {str(exc) or 'no such day'}") from exc
        if self.catch_up_s < 0:
            raise ConfigurationError(f"schedule {self.name!r}: catch_up_s is {self.catch_up_s}, should be seconds, not negative")

    def next_after(self, moment: datetime) -> datetime:
        """The first tick after a moment."""
        return next(CronSim(self.cron, self._local(moment)))

    def due(self, now: datetime) -> datetime | None:
        """The latest tick that has come, unless it is older than `catch_up_s`."""
        earlier = CronSim(self.cron, self._local(now + timedelta(minutes=1)), reverse=True)
        tick = next((tick for tick in earlier if tick <= now), None)
        return None if tick is None or (now - tick).total_seconds() > self.catch_up_s else tick

    def event_id(self, service: str, tick: datetime) -> str:
        """The same from every scheduler, so that an inbox knows a repetition."""
        return str(uuid.uuid5(_IDS, f"{service}/{self.name}/{int(tick.timestamp())}"))

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.timezone))
