"""The reading half of the ledger, on SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from dualrun.contracts import Outcome, Role
from gateway.core.errors import StoreUnavailable
from gateway.core.installation import PartFacts
from gateway.core.report import DifferenceGroup, ReportScope, ShadowReport, SubmissionView
from gateway.ledger import schema
from gateway.ledger.database import reading
from gateway.ledger.group_query import difference_group
from gateway.ledger.read_report import read_report, read_report_by_key
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

    async def facts(self) -> PartFacts | None:
        """The database's version and its clock (SQLite has none of its own); None while it is away."""
        is_sqlite = self._engine.dialect.name == "sqlite"
        try:
            async with reading(self._engine) as connection:
                asked = "SELECT sqlite_version(), NULL" if is_sqlite else "SELECT current_setting('server_version'), clock_timestamp()"
                version, clock = (await connection.execute(sa.text(asked))).one()
        except StoreUnavailable:
            return None
        return PartFacts(f"{'SQLite' if is_sqlite else 'PostgreSQL'} {version}", clock)

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
            redirected=record.redirected,
            authority=by_role.get(Role.AUTHORITY),
            shadow=by_role.get(Role.SHADOW),
            comparison=None if comparison is None else comparison_from(comparison),
        )

    async def latest(self, task: str, limit: int) -> Sequence[SubmissionView]:
        submissions, outcomes = schema.submissions, schema.outcomes
        query = sa.select(submissions).where(submissions.c.task == task).order_by(submissions.c.submitted_at.desc()).limit(limit)
        async with reading(self._engine) as connection:
            records = [submission_from(row) for row in (await connection.execute(query)).mappings()]
            of_these = outcomes.c.submission_id.in_([record.submission.id for record in records])
            bodies = await connection.scalars(sa.select(outcomes.c.body).where(of_these))
            sides: dict[tuple[str, Role], Outcome] = {(one.submission_id, one.role): one for one in map(outcome_from, bodies)}
        return [
            SubmissionView(
                submission=record.submission,
                decision=record.decision,
                authority=sides.get((record.submission.id, Role.AUTHORITY)),
                shadow=sides.get((record.submission.id, Role.SHADOW)),
            )
            for record in records
        ]

    async def difference(self, fingerprint: str, *, now: datetime) -> DifferenceGroup | None:
        async with reading(self._engine) as connection:
            return await difference_group(connection, fingerprint, now)

    async def shadow_report(self, scope: ReportScope, *, now: datetime) -> ShadowReport:
        """As the port says. Counters are kept by the hour: the window begins and ends with the hours its bounds are in."""
        async with reading(self._engine) as connection:
            if scope.cohort_key is not None:
                return await read_report_by_key(connection, scope, scope.cohort_key, now)
            return await read_report(connection, scope, now)
