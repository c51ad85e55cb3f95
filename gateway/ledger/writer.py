"""The writing half of the ledger, on SQL. Rows go in the order of their keys, so that writers that overlap wait and never deadlock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dualrun.contracts import Outcome, Record, Role, SubmissionRecord
from gateway.core.comparison import Comparison, Verdict
from gateway.core.ports import Pair
from gateway.ledger import schema
from gateway.ledger.counters import add_outcomes, add_reruns, add_tally, forget_fine_activity
from gateway.ledger.database import reading, writing
from gateway.ledger.reruns import new_reruns
from gateway.ledger.rows import Row, comparison_from, comparison_row, outcome_from, outcome_row, submission_from, submission_row
from gateway.ledger.statement import insert_new, insert_or_follow
from gateway.ledger.tally import tally

__all__ = ["SqlLedgerWriter"]

_PAIRS = sa.select(*schema.submissions.c, schema.comparisons.c.verdict).join(
    schema.comparisons, schema.comparisons.c.submission_id == schema.submissions.c.id, isouter=True
)
_IDS_AT_ONCE = 500
_FORGET_EVERY = timedelta(hours=1)


class SqlLedgerWriter:
    """Implements `LedgerWriter`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        dialect = engine.dialect.name
        self._insert_submissions = insert_new(dialect, schema.submissions)
        self._follow_submissions = insert_or_follow(dialect, schema.submissions, "redirects")
        self._insert_outcomes = insert_new(dialect, schema.outcomes).returning(schema.outcomes.c.submission_id, schema.outcomes.c.role)
        self._insert_comparisons = insert_new(dialect, schema.comparisons).returning(schema.comparisons.c.submission_id)
        self._forgot_at: datetime | None = None

    async def append(self, records: Sequence[Record], *, arrived_at: datetime) -> Sequence[str]:
        decided = [record for record in records if isinstance(record, SubmissionRecord)]
        submissions = [submission_row(record) for record in decided if record.redirected is None]
        redirected = [submission_row(record) for record in decided if record.redirected is not None]
        outcomes = [record for record in records if isinstance(record, Outcome)]
        async with writing(self._engine) as connection:
            if submissions:
                await connection.execute(self._insert_submissions, _sorted(submissions, "id"))
            if redirected:
                await connection.execute(self._follow_submissions, _sorted(redirected, "id"))
            if outcomes:
                await self._add_outcomes(connection, outcomes, arrived_at)
            if self._forgot_at is None or abs(arrived_at - self._forgot_at) > _FORGET_EVERY:
                await forget_fine_activity(connection, arrived_at)
                self._forgot_at = arrived_at
        ids = (record.submission.id if isinstance(record, SubmissionRecord) else record.submission_id for record in records)
        return list(dict.fromkeys(ids))

    async def _add_outcomes(self, connection: AsyncConnection, outcomes: Sequence[Outcome], arrived_at: datetime) -> None:
        rows = _sorted([outcome_row(outcome, arrived_at) for outcome in outcomes], "submission_id", "role")
        new = {(id_, role) for id_, role in await connection.execute(self._insert_outcomes, rows)}
        first = {(schema.key_text(outcome.submission_id), str(outcome.role)): outcome for outcome in reversed(outcomes)}
        await add_outcomes(connection, (outcome for key, outcome in first.items() if key in new))
        again = [
            one for one in outcomes if (key := (schema.key_text(one.submission_id), str(one.role))) not in new or one is not first[key]
        ]
        if again:
            await add_reruns(connection, await new_reruns(connection, again))

    async def pairs(self, submission_ids: Sequence[str]) -> Sequence[Pair]:
        found: list[Pair] = []
        ids = list(dict.fromkeys(submission_ids))
        async with reading(self._engine) as connection:
            for start in range(0, len(ids), _IDS_AT_ONCE):
                some = ids[start : start + _IDS_AT_ONCE]
                found += await self._pairs(connection, _PAIRS.where(_shadowed_and_not_final(), schema.submissions.c.id.in_(some)))
        return found

    async def overdue(self, submitted_before: datetime, limit: int) -> Sequence[Pair]:
        due = schema.submissions.c.due_at
        query = _PAIRS.where(schema.is_pending, due < submitted_before).order_by(due, schema.submissions.c.id).limit(limit)
        async with reading(self._engine) as connection:
            return await self._pairs(connection, query)

    async def store(self, comparisons: Sequence[Comparison]) -> None:
        if not comparisons:
            return
        by_id = {c.submission_id: c for c in sorted(comparisons, key=_rank)}
        async with writing(self._engine) as connection:
            new = await self._insert(connection, list(by_id.values()))
            rest = [c for c in by_id.values() if c.submission_id not in new and c.verdict is not Verdict.MISSING]
            replaced = await self._replace_missing(connection, rest)
            stored = [c for c in by_id.values() if c.submission_id in new or c.submission_id in replaced]
            await add_tally(connection, tally(stored, replaced.values()))

    async def _pairs(self, connection: AsyncConnection, query: sa.Select[tuple[object, ...]]) -> list[Pair]:
        rows = (await connection.execute(query)).mappings().all()
        ids = [row[schema.submissions.c.id] for row in rows]
        outcomes: dict[str, dict[Role, tuple[Outcome, datetime]]] = {id_: {} for id_ in ids}
        table = schema.outcomes.c
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            wanted = sa.select(table.submission_id, table.role, table.body, table.arrived_at).where(table.submission_id.in_(some))
            for id_, role, body, arrived_at in await connection.execute(wanted):
                outcomes[id_][Role(role)] = outcome_from(body), arrived_at
        return [_pair(row, outcomes[id_]) for row, id_ in zip(rows, ids, strict=True)]

    async def _insert(self, connection: AsyncConnection, comparisons: Sequence[Comparison]) -> set[str]:
        rows = _sorted([comparison_row(comparison) for comparison in comparisons], "submission_id")
        inserted = set(await connection.scalars(self._insert_comparisons, rows))
        if inserted:
            settled = sa.update(schema.submissions).where(schema.submissions.c.id == sa.bindparam("settled")).values(pending=0)
            await connection.execute(settled, [{"settled": id_} for id_ in sorted(inserted)])
        return inserted

    async def _replace_missing(self, connection: AsyncConnection, whole: Sequence[Comparison]) -> dict[str, Comparison]:
        table = schema.comparisons
        replaced: dict[str, Comparison] = {}
        for comparison in sorted(whole, key=lambda c: c.submission_id):
            missing = sa.select(*table.c).where(table.c.submission_id == comparison.submission_id, table.c.verdict == str(Verdict.MISSING))
            row = (await connection.execute(missing.with_for_update())).mappings().one_or_none()
            if row is None:
                continue
            values = comparison_row(comparison)
            await connection.execute(sa.update(table).where(table.c.submission_id == comparison.submission_id).values(values))
            replaced[comparison.submission_id] = comparison_from(row)
        return replaced


def _shadowed_and_not_final() -> sa.ColumnElement[bool]:
    verdict = schema.comparisons.c.verdict
    return sa.and_(schema.submissions.c.shadow.is_not(None), sa.or_(verdict.is_(None), verdict == str(Verdict.MISSING)))


def _pair(row: sa.RowMapping, outcomes: dict[Role, tuple[Outcome, datetime]]) -> Pair:
    verdict = row[schema.comparisons.c.verdict]
    return Pair(
        record=submission_from(row),
        outcomes={role: outcome for role, (outcome, _) in outcomes.items()},
        arrived_at={role: arrived_at for role, (_, arrived_at) in outcomes.items()},
        verdict=None if verdict is None else Verdict(verdict),
    )


def _rank(comparison: Comparison) -> int:
    # Of two comparisons of one submission in a batch, that of both outcomes stands over missing.
    return 0 if comparison.verdict is Verdict.MISSING else 1


def _sorted(rows: list[Row], *keys: str) -> list[Row]:
    return sorted(rows, key=lambda row: tuple(str(row[key]) for key in keys))
