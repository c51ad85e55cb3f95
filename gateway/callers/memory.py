"""Counts of one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from gateway.core.ports import CallerAct

__all__ = ["MemoryCallerCounts"]


class MemoryCallerCounts:
    """Implements `CallerCounts`."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, CallerAct]] = Counter()

    def note(self, task: str, act: CallerAct) -> None:
        self._counts[task, act] += 1

    async def of_task(self, task: str) -> Mapping[CallerAct, int]:
        return {act: n for act in CallerAct if (n := self._counts[task, act])}
