"""A board of breakers in memory: for one process, gone with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dualrun.breakers import BreakerState, SharedBreaker, Standing

__all__ = ["MemoryBreakerBoard"]


@dataclass(slots=True)
class _Entry:
    failures_max: int
    used_at_s: float
    failures: int = 0
    open_until_s: float | None = None
    opened_at_s: float | None = None
    trial_until_s: float = 0.0


class MemoryBreakerBoard:
    """Implements `BreakerBoard`, and what the gateway reads."""

    look_every_s = 0.0

    def __init__(self, service: str, *, clock: Callable[[], float] = time.time) -> None:
        self._service = service
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    async def look(self, name: str, failures_max: int, reset_s: float) -> Standing:
        return self._standing(self._used(name, failures_max))

    async def failed(self, name: str, failures_max: int, reset_s: float) -> Standing:
        entry, now_s = self._used(name, failures_max), self._clock()
        entry.failures += 1
        is_trial = entry.open_until_s is not None and entry.open_until_s <= now_s
        if is_trial or (entry.open_until_s is None and entry.failures >= failures_max):
            entry.open_until_s, entry.trial_until_s = now_s + reset_s, 0.0
            entry.opened_at_s = entry.opened_at_s or now_s
        return self._standing(entry)

    async def succeeded(self, name: str) -> None:
        entry = self._entries.get(name)
        if entry is not None:
            self._entries[name] = _Entry(entry.failures_max, self._clock())

    async def begin_trial(self, name: str, reset_s: float) -> float:
        entry, now_s = self._entries.get(name), self._clock()
        if entry is None:
            return 0.0
        if entry.trial_until_s > now_s:
            return entry.trial_until_s - now_s
        entry.trial_until_s = now_s + reset_s
        return 0.0

    async def close(self) -> None:
        """Nothing to leave."""

    async def read(self) -> Sequence[SharedBreaker]:
        """Every circuit there is."""
        return [self._shown(name, entry) for name, entry in sorted(self._entries.items())]

    def _used(self, name: str, failures_max: int) -> _Entry:
        entry = self._entries.setdefault(name, _Entry(failures_max, 0.0))
        entry.failures_max, entry.used_at_s = failures_max, self._clock()
        return entry

    def _standing(self, entry: _Entry) -> Standing:
        return Standing(failures=entry.failures, open_s=self._open_s(entry))

    def _open_s(self, entry: _Entry) -> float | None:
        return None if entry.open_until_s is None else max(0.0, entry.open_until_s - self._clock())

    def _shown(self, name: str, entry: _Entry) -> SharedBreaker:
        open_s = self._open_s(entry)
        return SharedBreaker(
            service=self._service,
            name=name,
            state=BreakerState.of(open_s).name.lower(),
            failures=entry.failures,
            failures_max=entry.failures_max,
            open_s=open_s,
            opened_at=None if entry.opened_at_s is None else datetime.fromtimestamp(entry.opened_at_s, UTC),
            used_at=datetime.fromtimestamp(entry.used_at_s, UTC),
        )
