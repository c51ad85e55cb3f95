"""The reading half of the ledger, on SQL."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from dualrun.contracts import Outcome, Role
from gateway.core.errors import StoreUnavailable
from gateway.core.latency import latency_of
from gateway.core.report import ShadowReport, SubmissionView, TaskReport
from gateway.ledger import schema
from gateway.ledger.database import reading
from gateway.ledger.report_query import Window, difference_groups, latency_histograms, pending_counts, verdict_counts
from gateway.ledger.rows import comparison_from, outcome_from, submission_from

__all__ = ["SqlLedgerReader"]


class SqlLedgerReader:
    """Implements `LedgerReader`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def probe(self) -> str | None:
        """None where the ledger answers, else what is wrong."""
        try:
            async with reading(self._engine) as connection:
                await connection.execute(sa.select(schema.submissions.c.id).limit(1))
        except StoreUnavailable as exc:
            return str(exc)
        return None

    async def submission(self, submission_id: str) -> SubmissionView | None:
        submissions, outcomes, comparisons = schema.submissions, schema.outcomes, schema.comparisons
        async with reading(self._engine) as connection:
            row = (await connection.execute(sa.select(submissions).where(submissions.c.id == submission_id))).mappings().one_or_none()
            if row is None:
                return None
            bodies = await connection.scalars(sa.select(outcomes.c.body).where(outcomes.c.submission_id == submission_id))
            by_role: dict[Role, Outcome] = {outcome.role: outcome for outcome in map(outcome_from, bodies)}
            compared = await connection.execute(sa.select(comparisons).where(comparisons.c.submission_id == submission_id))
            comparison = compared.mappings().one_or_none()
        record = submission_from(row)
        return SubmissionView(
            submission=record.submission,
            decision=record.decision,
            authority=by_role.get(Role.AUTHORITY),
            shadow=by_role.get(Role.SHADOW),
            comparison=None if comparison is None else comparison_from(comparison),
        )

    async def shadow_report(self, task: str | None, *, since: datetime | None, until: datetime | None, now: datetime) -> ShadowReport:
        """As the port says. Counters are kept by the hour: the window begins and ends with the hours its bounds are in."""
        window = Window(task, since, until)
        async with reading(self._engine) as connection:
            counts = await verdict_counts(connection, window)
            pending = await pending_counts(connection, window)
            histograms = await latency_histograms(connection, window)
            groups = await difference_groups(connection, window)
        # A task that was asked for is in the report, empty if need be: no data is an answer.
        names = {*counts, *pending, *groups} | ({task} if task is not None else set())
        tasks = tuple(
            TaskReport(
                task=name,
                counts=counts.get(name, {}),
                pending=pending.get(name, 0),
                authority_latency=latency_of(histograms.get((name, Role.AUTHORITY), {})),
                shadow_latency=latency_of(histograms.get((name, Role.SHADOW), {})),
                groups=tuple(groups.get(name, ())),
            )
            for name in sorted(names)
        )
        return ShadowReport(since=since, until=until, generated_at=now, tasks=tasks)
