"""What people look through, on SQL: everything is read from counters or along an index."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.core.activity import ActivityPoint, Series, step_of_moment
from gateway.core.comparison import Comparison, Verdict
from gateway.core.gate import GateVerdict
from gateway.core.latency import latency_of
from gateway.core.report import DifferenceGroup, ReportScope, ShadowReport, TaskReport
from gateway.core.search import SubmissionPage, SubmissionSearch
from gateway.ledger import schema
from gateway.ledger.activity_points import points_of
from gateway.ledger.database import reading
from gateway.ledger.group_query import group_of
from gateway.ledger.report_query import pending_counts
from gateway.ledger.rows import comparison_from, gate_verdict_from
from gateway.ledger.search_query import find

__all__ = ["SqlLedgerBrowser"]

_DIFFERENT = tuple(str(verdict) for verdict in Verdict if verdict.is_different)
_NO_TIMES = latency_of({})


class SqlLedgerBrowser:
    """Implements `LedgerBrowser`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def activity(
        self, tasks: Collection[str], *, since: datetime, until: datetime, step_s: int
    ) -> Mapping[str, Sequence[ActivityPoint]]:
        table = schema.activity.c
        query = sa.select(table.task, table.at, table.series, table.n, table.total_ms).where(
            table.task.in_(list(tasks)), table.step_s == step_s, table.at >= step_of_moment(since, step_s), table.at <= until
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return points_of((task, at, Series(series), int(n), total_ms) for task, at, series, n, total_ms in rows)

    async def standing(self, *, now: datetime) -> ShadowReport:
        table, everything = schema.verdict_counts.c, ReportScope()
        query = (
            sa.select(table.task, table.verdict, sa.cast(sa.func.sum(table.n), sa.BigInteger))
            .where(table.hour == schema.ALL_TIME)
            .group_by(table.task, table.verdict)
        )
        async with reading(self._engine) as connection:
            counts: dict[str, dict[Verdict, int]] = {}
            for task, verdict, n in await connection.execute(query):
                if n:
                    counts.setdefault(task, {})[Verdict(verdict)] = int(n)
            pending = await pending_counts(connection, everything)
            differing = {task for task, verdicts in counts.items() if any(verdict.is_different for verdict in verdicts)}
            groups = await _shown_groups(connection, {*counts, *pending} - differing)
        tasks = tuple(
            TaskReport(
                task=name,
                counts=counts.get(name, {}),
                pending=pending.get(name, 0),
                authority_latency=_NO_TIMES,
                shadow_latency=_NO_TIMES,
                groups=tuple(groups.get(name, ())),
            )
            for name in sorted({*counts, *pending})
        )
        return ShadowReport(generated_at=now, tasks=tasks)

    async def gate_words(self, tasks: Collection[str]) -> Mapping[str, GateVerdict]:
        table = schema.gate_verdicts.c
        last = sa.select(table.task, sa.func.max(table.ordinal).label("ordinal")).where(table.task.in_(list(tasks))).group_by(table.task)
        latest = last.subquery()
        same = sa.and_(latest.c.task == table.task, latest.c.ordinal == table.ordinal)
        async with reading(self._engine) as connection:
            bodies = await connection.scalars(sa.select(table.body).join(latest, same))
            return {verdict.task: verdict for verdict in map(gate_verdict_from, bodies)}

    async def search(self, search: SubmissionSearch) -> SubmissionPage:
        async with reading(self._engine) as connection:
            return await find(connection, search)

    async def differing(self, task: str, limit: int) -> Sequence[Comparison]:
        table = schema.comparisons
        found: list[Comparison] = []
        async with reading(self._engine) as connection:
            # One question a verdict: each is a piece of an index in order of time.
            for verdict in _DIFFERENT:
                query = sa.select(table).where(table.c.task == task, table.c.verdict == verdict)
                rows = await connection.execute(query.order_by(table.c.compared_at.desc()).limit(limit))
                found += map(comparison_from, rows.mappings())
        return sorted(found, key=lambda one: one.compared_at, reverse=True)[:limit]


async def _shown_groups(connection: AsyncConnection, tasks: Collection[str]) -> Mapping[str, Sequence[DifferenceGroup]]:
    """The groups no rule hides of these tasks, without samples."""
    table = schema.difference_groups
    query = sa.select(table, table.c["count"].label("seen")).where(
        table.c.task.in_(list(tasks)), table.c.ignored_by == "", table.c["count"] > 0
    )
    groups: dict[str, list[DifferenceGroup]] = {}
    for row in (await connection.execute(query)).mappings():
        groups.setdefault(row["task"], []).append(group_of(row, {}, {}))
    return groups
