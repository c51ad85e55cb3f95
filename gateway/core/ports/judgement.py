"""Comparisons on record, for judging them again under other rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from dualrun.contracts import Outcome, Submission
from gateway.core.comparison import Comparison

__all__ = ["JudgementLedger", "RulesInForce", "Stored"]


class Stored(NamedTuple):
    """A comparison on record, with what it was made of."""

    comparison: Comparison
    submission: Submission
    authority: Outcome
    shadow: Outcome


class RulesInForce(NamedTuple):
    """The rules that count, and whether all that is on record has been judged by them."""

    version: str
    applied: bool


class JudgementLedger(Protocol):
    """Comparisons on record, for judging them again."""

    async def adopt_rules(self, version: str, *, at: datetime) -> None:
        """These rules are in force from now on, whichever were before. Raises `StoreUnavailable`."""
        ...

    async def rules_in_force(self) -> RulesInForce | None:
        """The rules adopted last; None where none ever were. Raises `StoreUnavailable`."""
        ...

    async def rules_applied(self, version: str) -> None:
        """Everything on record has been judged by them. Raises `StoreUnavailable`."""
        ...

    async def stored(self, *, other_than: str, before: str | None, limit: int) -> tuple[Sequence[Stored], str | None]:
        """Comparisons by other rules than that version, the latest submissions first, from the id `before` (exclusive) down.

        Gives them, and the id to go on from; None at the end. Some may lack: their outcomes have aged out. Raises `StoreUnavailable`.
        """
        ...

    async def replace(self, comparisons: Sequence[Comparison]) -> int:
        """Put these in the place of those stored, with their counters and groups, in one transaction.

        One that is by the same rules already stays. Gives how many were replaced. Raises `StoreUnavailable`.
        """
        ...
