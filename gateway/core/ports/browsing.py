"""The ledger as people look through it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from gateway.core.activity import ActivityPoint
from gateway.core.comparison import Comparison
from gateway.core.gate import GateVerdict
from gateway.core.report import ShadowReport
from gateway.core.search import SubmissionPage, SubmissionSearch

__all__ = ["LedgerBrowser"]


class LedgerBrowser(Protocol):
    """What the console asks of the ledger beside reports. No answer costs more with more traffic than an index makes it."""

    async def activity(
        self, tasks: Collection[str], *, since: datetime, until: datetime, step_s: int
    ) -> Mapping[str, Sequence[ActivityPoint]]:
        """Per task, the steps from the one `since` is in to the one `until` is in, in order, without empty ones.

        `step_s` is one of `STEPS_S`; steps of five minutes reach back two days. Raises `StoreUnavailable`.
        """
        ...

    async def standing(self, *, now: datetime) -> ShadowReport:
        """As `LedgerReader.shadow_report` of every task and all time, without times.

        Groups come only with tasks whose counts show no difference. Raises `StoreUnavailable`.
        """
        ...

    async def gate_words(self, tasks: Collection[str]) -> Mapping[str, GateVerdict]:
        """What the gate said last of each of these tasks, where it said anything. Raises `StoreUnavailable`."""
        ...

    async def search(self, search: SubmissionSearch) -> SubmissionPage:
        """Raises `StoreUnavailable`."""
        ...

    async def differing(self, task: str, limit: int) -> Sequence[Comparison]:
        """A task's latest comparisons with a difference no rule hides, the latest first. Raises `StoreUnavailable`."""
        ...
