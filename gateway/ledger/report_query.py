"""What a report is made of, from counters alone: its cost grows with tasks, hours and distinct differences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from dualrun.contracts import Role
from gateway.core.comparison import Verdict
from gateway.core.node_time import nodes_of
from gateway.core.report import NodeTime, ReportScope
from gateway.core.sketch import Sketch
from gateway.core.skew import SkewCount
from gateway.ledger import schema
from gateway.ledger.histograms import histogram_from
from gateway.ledger.scope import of_cohort, of_counts, of_hours, of_task, of_version
from gateway.ledger.totals import skew_counts

__all__ = [
    "VerdictCounts",
    "answer_counts",
    "cohort_counts",
    "control_counts",
    "latency_histograms",
    "node_times",
    "pending_counts",
    "skews",
    "verdict_counts",
]


class VerdictCounts:
    """How often each verdict was given to one task, by flag version and by cohort."""

    def __init__(self) -> None:
        self.by_version: dict[int, Counter[Verdict]] = defaultdict(Counter)
        self.by_cohort: dict[str, Counter[Verdict]] = defaultdict(Counter)


async def verdict_counts(connection: AsyncConnection, scope: ReportScope) -> Mapping[str, VerdictCounts]:
    """Per task with any."""
    table = schema.verdict_counts.c
    query = (
        sa.select(table.task, table.flag_version, table.cohort, table.verdict, sa.func.sum(table.n))
        .where(
            *of_task(scope, table.task),
            *of_counts(scope, table.hour),
            *of_version(scope, table.flag_version),
            *of_cohort(scope, table.cohort),
        )
        .group_by(table.task, table.flag_version, table.cohort, table.verdict)
    )
    counts: dict[str, VerdictCounts] = defaultdict(VerdictCounts)
    for task, version, cohort, verdict, n in await connection.execute(query):
        if n:
            counts[task].by_version[version][Verdict(verdict)] += int(n)
            counts[task].by_cohort[cohort][Verdict(verdict)] += int(n)
    return counts


async def pending_counts(connection: AsyncConnection, scope: ReportScope) -> Mapping[str, int]:
    """Per task, pairs that wait for an outcome. Read from an index of nothing else."""
    table = schema.submissions.c
    of_key = [] if scope.cohort_key is None else [table.cohort_key == scope.cohort_key]
    # Not the column itself: SQLite would walk an index of all submissions that has them in the order of their tasks.
    name = sa.func.coalesce(table.task, sa.literal_column("''"))
    query = (
        sa.select(name, sa.func.count())
        .where(schema.is_pending, *of_task(scope, table.task), *of_hours(scope, table.due_at), *of_key)
        .group_by(name)
    )
    return {task: int(n) for task, n in await connection.execute(query)}


async def latency_histograms(connection: AsyncConnection, scope: ReportScope) -> Mapping[tuple[str, Role], Mapping[int, int]]:
    """Per task and role, the histogram of execution times."""
    table = schema.latencies.c
    query = sa.select(table.task, table.role, table.histogram).where(*of_task(scope, table.task), *of_counts(scope, table.hour))
    histograms: dict[tuple[str, Role], Counter[int]] = defaultdict(Counter)
    for task, role, text in await connection.execute(query):
        histograms[task, Role(role)].update(histogram_from(text))
    return histograms


async def skews(connection: AsyncConnection, scope: ReportScope) -> Mapping[str, Sequence[SkewCount]]:
    """Per task, pairs by how far apart they started."""
    table = schema.skew_counts.c
    pairs: dict[str, dict[tuple[int, bool], int]] = defaultdict(dict)
    query = sa.select(table.task, table.bucket, table.different, table.n).where(*of_task(scope, table.task))
    for task, bucket, different, n in await connection.execute(query):
        pairs[task][bucket, bool(different)] = int(n)
    return {task: skew_counts(of_one) for task, of_one in pairs.items()}


async def cohort_counts(connection: AsyncConnection, scope: ReportScope) -> Mapping[str, int]:
    """Per task, how many different cohort keys were ever compared."""
    table = schema.task_cohorts.c
    rows = await connection.execute(sa.select(table.task, table.cohorts).where(*of_task(scope, table.task)))
    return {task: Sketch.from_text(text).count() for task, text in rows}


async def control_counts(connection: AsyncConnection, scope: ReportScope) -> Mapping[str, Mapping[str, int]]:
    """Per task and fingerprint, in how many control runs the group was seen; an empty fingerprint counts the runs."""
    table = schema.control_counts.c
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for task, fingerprint, n in await connection.execute(
        sa.select(table.task, table.fingerprint, table.n).where(*of_task(scope, table.task))
    ):
        counts[task][fingerprint] = int(n)
    return counts


async def answer_counts(connection: AsyncConnection, scope: ReportScope) -> Mapping[tuple[str, str], int]:
    """By task: answers that were not kept, calls the authority never made."""
    table = schema.answer_counts.c
    rows = await connection.execute(sa.select(table.task, table.what, table.n).where(*of_task(scope, table.task)))
    return {(task, what): int(n) for task, what, n in rows}


async def node_times(connection: AsyncConnection, scope: ReportScope) -> Mapping[str, Sequence[NodeTime]]:
    """Per task, the nodes of its traces, the longest first."""
    table = schema.node_times.c
    histograms: dict[str, dict[str, dict[str, dict[int, int]]]] = defaultdict(lambda: defaultdict(dict))
    query = sa.select(table.task, table.path, table.measure, table.histogram).where(*of_task(scope, table.task))
    for task, path, measure, text in await connection.execute(query):
        histograms[task][path][measure] = histogram_from(text)
    return {task: nodes_of(found) for task, found in histograms.items()}
