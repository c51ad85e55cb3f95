"""Circuit breakers as the processes of a service share them: what fails is counted by all, and one that opens is open for all."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Protocol

import msgspec

__all__ = ["BreakerBoard", "BreakerState", "SharedBreaker", "Standing"]


class BreakerState(IntEnum):
    """How a circuit stands; the number is what metrics show."""

    CLOSED = 0
    """Calls go through."""
    HALF_OPEN = 1
    """One call goes through, to see."""
    OPEN = 2
    """No call goes through."""

    @classmethod
    def of(cls, open_s: float | None) -> BreakerState:
        """Of a circuit that is open for so long; None for one that is closed."""
        if open_s is None:
            return cls.CLOSED
        return cls.OPEN if open_s > 0 else cls.HALF_OPEN


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One circuit at one moment, by the count of all processes."""

    failures: int
    """One after another, without a success in between."""
    open_s: float | None
    """For how long it is still open; 0 where one call may try; None where it is closed."""


class SharedBreaker(msgspec.Struct, frozen=True, kw_only=True):
    """One circuit as people are shown it."""

    service: str
    name: str
    """Of the handler, or of the call."""
    state: str
    """closed, half_open or open."""
    failures: int
    """One after another, counted by all processes."""
    failures_max: int
    """At so many it opens."""
    open_s: float | None = None
    """Seconds until one call may try; None where it is closed."""
    opened_at: datetime | None = None
    """Since when it has not been closed."""
    used_at: datetime
    """When a process last asked for it."""


class BreakerBoard(Protocol):
    """What the processes of one service tell each other of their circuits.

    None of this raises: None says that the board is out of reach, and each process then has circuits of its own.
    """

    @property
    def look_every_s(self) -> float:
        """How old its word on a circuit may be: a question has its price."""
        ...

    async def look(self, name: str, failures_max: int, reset_s: float) -> Standing | None:
        """How it stands; a new one is closed."""
        ...

    async def failed(self, name: str, failures_max: int, reset_s: float) -> Standing | None:
        """A call failed: counted, and open where these were too many, or where it was the one that tried."""
        ...

    async def succeeded(self, name: str) -> None:
        """A call came back well: closed, and nothing counted any more."""
        ...

    async def begin_trial(self, name: str, reset_s: float) -> float | None:
        """0: the one call that tries is ours. Else seconds until that of another process counts as lost."""
        ...

    async def close(self) -> None:
        """Leave the board."""
        ...
