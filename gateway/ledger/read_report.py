"""A report, put together from what the ledger counted; that of one cohort key, from its latest comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from dualrun.contracts import Role
from gateway.core.latency import latency_of
from gateway.core.moment import hour_of
from gateway.core.report import KEY_PAIRS, DifferenceGroup, ReportScope, ShadowReport, TaskReport, added
from gateway.ledger import schema
from gateway.ledger.group_query import difference_groups, triage_of
from gateway.ledger.report_query import (
    VerdictCounts,
    answer_counts,
    cohort_counts,
    control_counts,
    latency_histograms,
    node_times,
    pending_counts,
    skews,
    verdict_counts,
)
from gateway.ledger.rows import cohort_hash, comparison_from
from gateway.ledger.scope import of_task
from gateway.ledger.tally import DROPPED, RAN_AGAIN, UNANSWERED, UNKNOWN
from gateway.ledger.totals import as_said, report_by_key

__all__ = ["read_report", "read_report_by_key"]

_HOUR = timedelta(hours=1)


async def read_report(connection: AsyncConnection, scope: ReportScope, now: datetime) -> ShadowReport:
    """Everything of the tasks in the scope."""
    reports = await _brief(connection, scope, await difference_groups(connection, scope, now))
    cohorts = await cohort_counts(connection, scope)
    controls = await control_counts(connection, scope)
    nodes = await node_times(connection, scope)
    answers = await answer_counts(connection, scope)
    by_skew = await skews(connection, scope)
    tasks = tuple(
        replace(
            report,
            cohorts=cohorts.get(report.task, 0),
            controls=controls.get(report.task, {}),
            nodes=tuple(nodes.get(report.task, ())),
            by_skew=tuple(by_skew.get(report.task, ())),
            answers_dropped=answers.get((report.task, DROPPED), 0),
            calls_unknown=answers.get((report.task, UNKNOWN), 0),
            calls_unanswered=answers.get((report.task, UNANSWERED), 0),
            ran_again=answers.get((report.task, RAN_AGAIN), 0),
        )
        for report in reports
    )
    return ShadowReport(scope=scope, generated_at=now, tasks=tasks)


async def read_report_by_key(connection: AsyncConnection, scope: ReportScope, cohort_key: str, now: datetime) -> ShadowReport:
    """From the key's latest comparisons, with what control runs and people say of their groups."""
    table = schema.comparisons
    hours = [] if scope.since is None else [table.c.compared_at >= hour_of(scope.since)]
    hours += [] if scope.until is None else [table.c.compared_at < hour_of(scope.until) + _HOUR]
    of_key = sa.and_(table.c.cohort_hash == cohort_hash(cohort_key), *of_task(scope, table.c.task), *hours)
    rows = (await connection.execute(sa.select(table).where(of_key).order_by(table.c.compared_at.desc()).limit(KEY_PAIRS + 1))).mappings()
    report = report_by_key(map(comparison_from, rows), scope, await pending_counts(connection, scope), now=now)
    return as_said(report, await triage_of(connection, scope.task), await control_counts(connection, scope))


async def _brief(
    connection: AsyncConnection, scope: ReportScope, groups: Mapping[str, Sequence[DifferenceGroup]]
) -> tuple[TaskReport, ...]:
    counts = await verdict_counts(connection, scope)
    pending = await pending_counts(connection, scope)
    histograms = await latency_histograms(connection, scope)
    # A task that was asked for is in the report, empty if need be: no data is an answer.
    names = {*counts, *pending, *groups} | ({scope.task} if scope.task is not None else set())
    return tuple(
        TaskReport(
            task=name,
            counts=added(counted.by_version),
            pending=pending.get(name, 0),
            authority_latency=latency_of(histograms.get((name, Role.AUTHORITY), {})),
            shadow_latency=latency_of(histograms.get((name, Role.SHADOW), {})),
            groups=tuple(groups.get(name, ())),
            by_flag_version=counted.by_version,
            by_cohort=counted.by_cohort,
        )
        for name in sorted(names)
        for counted in [counts.get(name) or VerdictCounts()]
    )
