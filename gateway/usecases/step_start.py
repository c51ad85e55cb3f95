"""Since which flag version a task is dealt as it is now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.core.flags import FlagSnapshot
from gateway.core.ports import FlagStore
from gateway.core.stages import same_routing

__all__ = ["FindStepStart", "StepStart"]

_PAGE = 50
_ENTRIES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class StepStart:
    """The first version of the present step. Where older ones are no longer kept: the oldest that is."""

    version: int
    at: datetime


class FindStepStart:
    """Walks back through the versions, and remembers where it got to: a version of other flags costs one look."""

    def __init__(self, flags: FlagStore) -> None:
        self._flags = flags
        self._known: dict[str, tuple[int, StepStart]] = {}

    async def of(self, task: str, snapshot: FlagSnapshot) -> StepStart:
        """Raises `StoreUnavailable`."""
        known = self._known.get(task)
        if known is not None and known[0] == snapshot.version:
            return known[1]
        start = await self._walk(task, snapshot, known)
        if len(self._known) >= _ENTRIES_KEPT:
            self._known.clear()
        self._known[task] = snapshot.version, start
        return start

    async def _walk(self, task: str, snapshot: FlagSnapshot, known: tuple[int, StepStart] | None) -> StepStart:
        flag = snapshot.flag_for(task)
        start, before = StepStart(snapshot.version, snapshot.changed_at), snapshot.version
        while True:
            page = await self._flags.history(before=before, limit=_PAGE if known is None else 2)
            for older in page:
                if not same_routing(flag, older.flag_for(task)):
                    return start
                if known is not None and older.version == known[0]:
                    return known[1]
                start, before = StepStart(older.version, older.changed_at), older.version
            if not page:
                return start
