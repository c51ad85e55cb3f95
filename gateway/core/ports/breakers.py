"""How the circuit breakers of event workers stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dualrun.breakers import SharedBreaker

__all__ = ["BreakerReader"]


class BreakerReader(Protocol):
    """What the workers of all services share of their circuits."""

    async def read(self) -> Sequence[SharedBreaker]:
        """Every circuit that was asked for within a day, by service and name. Raises `StoreUnavailable`."""
        ...
