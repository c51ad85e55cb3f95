"""How work reaches a side, and how it is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dualrun.broker import QueueDepth
from dualrun.contracts import ServedTask, Side, Work
from gateway.core.cancellation import Cancellation
from gateway.core.errors import DispatchFailed

__all__ = ["Canceller", "Dispatcher", "QueueGauge"]


class Dispatcher(Protocol):
    """Hands work over to one side."""

    @property
    def side(self) -> Side: ...

    async def send(self, work: Work, served: ServedTask) -> None:
        """Return once the broker confirmed the message. Raises `DispatchFailed` only."""
        ...

    async def send_many(self, batch: Sequence[tuple[Work, ServedTask]]) -> list[DispatchFailed | None]:
        """As `send` for each, all in flight at once; an error or None each, in order."""
        ...


class QueueGauge(Protocol):
    """Says how full a queue is."""

    async def depth(self, queue: str) -> QueueDepth | None:
        """None where there is no such queue. Raises `BrokerError`."""
        ...


class Canceller(Protocol):
    """Has work of one side not run any more."""

    @property
    def side(self) -> Side: ...

    async def cancel(self, cancellation: Cancellation) -> str:
        """Return once it was asked for: what that is worth, for a person to read. Raises `CancelFailed` only."""
        ...
