"""What the gate reads, leaves and tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from dualrun.contracts import Role, Side, State
from gateway.core.gate import GateVerdict
from gateway.core.step_evidence import StepEvidence

__all__ = ["GateLedger", "GateNotices", "NumberedVerdict"]


class NumberedVerdict(NamedTuple):
    """A verdict, and which of its task's it is, from 1."""

    ordinal: int
    verdict: GateVerdict


class GateLedger(Protocol):
    """What the gate reads of the ledger, and what it leaves there."""

    async def step_evidence(self, task: str, *, since_version: int, until_version: int, since: datetime) -> StepEvidence:
        """What was counted of a task under these flag versions, the first of which came at `since`. Raises `StoreUnavailable`."""
        ...

    async def outcomes_before(self, task: str, *, version: int) -> Mapping[tuple[Side, Role, State], int]:
        """What became of a task's runs under every flag version before this one. Raises `StoreUnavailable`."""
        ...

    async def latest_verdict(self, task: str) -> NumberedVerdict | None:
        """What the gate said last. Raises `StoreUnavailable`."""
        ...

    async def append_verdict(self, numbered: NumberedVerdict) -> bool:
        """Put a verdict on record; False where its number is taken: somebody else was first. Raises `StoreUnavailable`."""
        ...


class GateNotices(Protocol):
    """Tells whoever listens what the gate says. A notice is a hint: who misses one asks for the gate of the task."""

    async def publish(self, verdict: GateVerdict) -> None:
        """Tell every process. Never raises."""
        ...

    def verdicts(self) -> AsyncIterator[GateVerdict]:
        """Verdicts told from the first `anext` on, without end. A listener that stops reading loses the oldest beyond a bound."""
        ...
