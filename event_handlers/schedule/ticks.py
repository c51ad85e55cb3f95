"""Which ticks have had their event: what the schedulers of a service share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from dualrun.errors import DualrunError

__all__ = ["CLAIM_S", "MemoryTicks", "Ticks", "TicksUnavailable"]

CLAIM_S = 10.0
"""How long a claim holds whose scheduler died before its event was confirmed; another publishes it then."""


class TicksUnavailable(DualrunError):
    """The store is out of reach."""


class Ticks(Protocol):
    """A store of ticks, by the name of a schedule."""

    async def claim(self, schedule: str, tick: datetime) -> bool | None:
        """True: it is ours to publish. None: another one has it and may yet fail. False: it was published, or a later one was.

        Raises `TicksUnavailable`.
        """
        ...

    async def published(self, schedule: str, tick: datetime) -> None:
        """Its event is confirmed. Raises `TicksUnavailable`."""
        ...

    async def close(self) -> None:
        """Leave the store."""
        ...


class MemoryTicks:
    """`Ticks` for one process, gone with it."""

    def __init__(self, *, claim_s: float = CLAIM_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._claim_s = claim_s
        self._clock = clock
        self._published: dict[str, datetime] = {}
        self._claims: dict[tuple[str, datetime], float] = {}

    async def claim(self, schedule: str, tick: datetime) -> bool | None:
        last = self._published.get(schedule)
        if last is not None and last >= tick:
            return False
        now_s = self._clock()
        if self._claims.get((schedule, tick), now_s) > now_s:
            return None
        self._claims[schedule, tick] = now_s + self._claim_s
        return True

    async def published(self, schedule: str, tick: datetime) -> None:
        self._claims.pop((schedule, tick), None)
        self._published[schedule] = max(tick, self._published.get(schedule, tick))

    async def close(self) -> None:
        """Nothing to leave."""
