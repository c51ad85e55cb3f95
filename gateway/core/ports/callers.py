"""What callers do with tasks, which no outcome says."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

__all__ = ["CallerAct", "CallerCounts"]


class CallerAct(StrEnum):
    """Something that is counted."""

    RESULT_ASKED = "result_asked"
    """The result of a submission was asked for, once or again."""
    KEY_REPEATED = "key_repeated"
    """A request came again under its `Idempotency-Key`, and was not run again."""


class CallerCounts(Protocol):
    """Counts of all gateways together. What was counted in the last seconds of a gateway that is killed is lost."""

    def note(self, task: str, act: CallerAct) -> None:
        """Count one; it is written out beside. Never raises, never waits."""
        ...

    async def of_task(self, task: str) -> Mapping[CallerAct, int]:
        """What was counted, where anything was. Raises `StoreUnavailable`."""
        ...
