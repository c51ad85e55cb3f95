"""Comparisons on record, on SQL: which rules they are by, and others in their place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from dualrun.contracts import Outcome, Role
from gateway.core.comparison import Comparison, Verdict
from gateway.core.ports import RulesInForce, Stored
from gateway.ledger import schema
from gateway.ledger.counters import add_tally
from gateway.ledger.database import reading, writing
from gateway.ledger.rows import comparison_from, comparison_row, outcome_from, submission_from
from gateway.ledger.statement import insert_or_replace
from gateway.ledger.tally import tally_of_judgements

__all__ = ["SqlJudgements"]


class SqlJudgements:
    """Implements `JudgementLedger`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def adopt_rules(self, version: str, *, at: datetime) -> None:
        async with writing(self._engine) as connection:
            row = {"version": version, "adopted_at": at, "applied": 0}
            await connection.execute(insert_or_replace(self._engine.dialect.name, schema.rule_sets), row)

    async def rules_in_force(self) -> RulesInForce | None:
        table = schema.rule_sets.c
        latest = sa.select(table.version, table.applied).order_by(table.adopted_at.desc(), table.version).limit(1)
        async with reading(self._engine) as connection:
            row = (await connection.execute(latest)).one_or_none()
        return None if row is None else RulesInForce(row.version, bool(row.applied))

    async def rules_applied(self, version: str) -> None:
        table = schema.rule_sets
        async with writing(self._engine) as connection:
            await connection.execute(sa.update(table).where(table.c.version == version).values(applied=1))

    async def stored(self, *, other_than: str, before: str | None, limit: int) -> tuple[Sequence[Stored], str | None]:
        comparisons, submissions, outcomes = schema.comparisons, schema.submissions, schema.outcomes
        query = sa.select(comparisons).order_by(comparisons.c.submission_id.desc()).limit(limit)
        if before is not None:
            query = query.where(comparisons.c.submission_id < before)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
            due = {
                row[comparisons.c.submission_id]: comparison_from(row)
                for row in rows
                if row[comparisons.c.ruleset_version] != other_than and row[comparisons.c.verdict] != str(Verdict.MISSING)
            }
            of_due = submissions.c.id.in_(list(due))
            found = (await connection.execute(sa.select(submissions).where(of_due))).mappings().all()
            bodies = await connection.scalars(sa.select(outcomes.c.body).where(outcomes.c.submission_id.in_(list(due))))
            sides: dict[tuple[str, Role], Outcome] = {(one.submission_id, one.role): one for one in map(outcome_from, bodies)}
        asked = {record.submission.id: record.submission for record in map(submission_from, found)}
        stored = [
            Stored(comparison, asked[id_], sides[id_, Role.AUTHORITY], sides[id_, Role.SHADOW])
            for id_, comparison in due.items()
            if id_ in asked and (id_, Role.AUTHORITY) in sides and (id_, Role.SHADOW) in sides
        ]
        return stored, rows[-1][comparisons.c.submission_id] if len(rows) == limit else None

    async def replace(self, comparisons: Sequence[Comparison]) -> int:
        table = schema.comparisons
        by_id = {comparison.submission_id: comparison for comparison in comparisons}
        async with writing(self._engine) as connection:
            query = sa.select(table).where(table.c.submission_id.in_(list(by_id))).order_by(table.c.submission_id).with_for_update()
            old = [comparison_from(row) for row in (await connection.execute(query)).mappings()]
            changing = [one for one in old if one.ruleset_version != by_id[one.submission_id].ruleset_version]
            for one in changing:
                values = comparison_row(by_id[one.submission_id])
                await connection.execute(sa.update(table).where(table.c.submission_id == one.submission_id).values(values))
            await add_tally(connection, tally_of_judgements((by_id[one.submission_id] for one in changing), changing))
        return len(changing)
