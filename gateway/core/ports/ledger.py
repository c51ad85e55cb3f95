"""The ledger as the comparator writes it and the faces read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dualrun.contracts import Outcome, Record, Role, SubmissionRecord
from gateway.core.comparison import Comparison, Verdict
from gateway.core.report import DifferenceGroup, ReportScope, ShadowReport, SubmissionView
from gateway.core.triage import TriageNote

__all__ = ["LedgerReader", "LedgerWriter", "Pair", "TriageLedger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What the ledger has of a submission whose sides are to be compared."""

    record: SubmissionRecord
    outcomes: Mapping[Role, Outcome]
    arrived_at: Mapping[Role, datetime]
    verdict: Verdict | None = None
    """The verdict already stored, if any."""


class LedgerWriter(Protocol):
    """The writing half: used by the comparator alone. Every call may be repeated without changing anything twice."""

    async def append(self, records: Sequence[Record], *, arrived_at: datetime) -> Sequence[str]:
        """Store in one transaction; the first outcome of a (submission, role) counts. Gives the ids of the submissions touched.

        Raises `StoreUnavailable`.
        """
        ...

    async def pairs(self, submission_ids: Sequence[str]) -> Sequence[Pair]:
        """Those of the submissions that were decided with a shadow and are not finally compared. Raises `StoreUnavailable`."""
        ...

    async def overdue(self, submitted_before: datetime, limit: int) -> Sequence[Pair]:
        """Pairs not compared whose submission (or eta, if later) is older than that, oldest first. Raises `StoreUnavailable`."""
        ...

    async def store(self, comparisons: Sequence[Comparison]) -> None:
        """Store comparisons with their counters and groups in one transaction. Only missing may be replaced, by what both outcomes say.

        Raises `StoreUnavailable`.
        """
        ...


class LedgerReader(Protocol):
    """The reading half, for the faces."""

    async def submission(self, submission_id: str) -> SubmissionView | None:
        """Everything known of one submission. Raises `StoreUnavailable`."""
        ...

    async def shadow_report(self, scope: ReportScope, *, now: datetime) -> ShadowReport:
        """From counters and groups, so that its cost does not grow with traffic; by cohort key from raw records, a bounded number of them.

        A task that is asked for is in it, empty if need be. Raises `StoreUnavailable`.
        """
        ...

    async def latest(self, task: str, limit: int) -> Sequence[SubmissionView]:
        """A task's latest submissions with their outcomes, newest first. Raises `StoreUnavailable`."""
        ...

    async def difference(self, fingerprint: str, *, now: datetime) -> DifferenceGroup | None:
        """One difference group, without what rules hide of it; None where there is none. Raises `StoreUnavailable`."""
        ...


class TriageLedger(Protocol):
    """What people say of difference groups."""

    async def triage(self, fingerprint: str, note: TriageNote) -> bool:
        """Say it; False where there is no such group. Raises `StoreUnavailable`."""
        ...
