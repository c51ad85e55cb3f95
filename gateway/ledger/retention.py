"""What of the ledger is kept no longer, on SQL."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.core.activity import HOUR_S
from gateway.core.ports import Place
from gateway.ledger import schema
from gateway.ledger.database import reading, writing

__all__ = ["SqlRetention"]


class SqlRetention:
    """Implements `RetentionLedger`. What goes is read first, outside the transaction that drops it: SQLite has one writer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def drop_records(self, before: datetime, *, after: Place | None, limit: int) -> tuple[int, Place | None]:
        async with reading(self._engine) as connection:
            aged = (await connection.execute(_aged(before, after, limit))).all()
        if not aged:
            return 0, None
        ids = [id_ for id_, _ in aged]
        table = schema.submissions
        async with writing(self._engine) as connection:
            # A redirect may have made it wait again meanwhile.
            settled = sa.select(table.c.id).where(table.c.id.in_(ids), table.c.pending == 0).order_by(table.c.id).with_for_update()
            dropped = list(await connection.scalars(settled))
            for column in (schema.comparisons.c.submission_id, schema.outcomes.c.submission_id, table.c.id):
                await connection.execute(sa.delete(column.table).where(column.in_(dropped)))
        last_id, last_submitted_at = aged[-1]
        return len(dropped), Place(submitted_at=last_submitted_at, submission_id=last_id) if len(aged) == limit else None

    async def drop_orphans(self, before: datetime, *, limit: int) -> int:
        table, submissions = schema.outcomes, schema.submissions
        is_known = sa.exists().where(submissions.c.id == table.c.submission_id)
        orphans = sa.select(table.c.submission_id).where(table.c.arrived_at < before, ~is_known).distinct().limit(limit)
        async with reading(self._engine) as connection:
            ids = sorted(await connection.scalars(orphans))
        if ids:
            async with writing(self._engine) as connection:
                await connection.execute(sa.delete(table).where(table.c.submission_id.in_(ids)))
        return len(ids)

    async def drop_hours(self, before: datetime) -> int:
        dropped = 0
        for table in (schema.verdict_counts, schema.group_counts, schema.latencies):
            dropped += await self._drop(table, table.c.hour > schema.ALL_TIME, table.c.hour < before)
        return dropped + await self._drop(schema.activity, schema.activity.c.step_s == HOUR_S, schema.activity.c.at < before)

    async def _drop(self, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
        async with writing(self._engine) as connection:
            return (await connection.execute(sa.delete(table).where(*conditions))).rowcount


def _aged(before: datetime, after: Place | None, limit: int) -> sa.Select[str, datetime]:
    table, samples = schema.submissions.c, schema.group_samples.c
    is_sample = sa.exists().where(samples.submission_id == table.id)
    query = (
        sa.select(table.id, table.submitted_at)
        .where(table.submitted_at < before, table.due_at < before, table.pending == 0, ~is_sample)
        .order_by(table.submitted_at, table.id)
        .limit(limit)
    )
    if after is None:
        return query
    return query.where(sa.tuple_(table.submitted_at, table.id) > sa.tuple_(after.submitted_at, after.submission_id))
