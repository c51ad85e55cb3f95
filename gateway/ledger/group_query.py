"""Difference groups with their samples and trends, read for a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.comparison import Aspect, DifferenceKind
from gateway.core.moment import hour_of
from gateway.core.report import TREND_HOURS, DifferenceGroup, ReportScope, Sample
from gateway.core.sketch import Sketch
from gateway.core.triage import TriageNote, TriageState
from gateway.ledger import schema
from gateway.ledger.rows import json_value
from gateway.ledger.scope import of_cohort, of_hours, of_task, of_version
from gateway.ledger.tally import GroupKey
from gateway.ledger.totals import Said

__all__ = ["difference_group", "difference_groups", "group_of", "triage_of"]

_Samples = Mapping[GroupKey, Sequence[Sample]]
_Trends = Mapping[GroupKey, Sequence[int]]


async def difference_groups(connection: AsyncConnection, scope: ReportScope, now: datetime) -> Mapping[str, Sequence[DifferenceGroup]]:
    """Per task, the groups seen in the scope, the most frequent first. Times and samples are of the group's whole life."""
    table = schema.difference_groups
    if scope.counts_all:
        query = sa.select(table, table.c["count"].label("seen")).where(*of_task(scope, table.c.task))
    else:
        counts = schema.group_counts.c
        seen = (
            sa.select(counts.fingerprint, counts.ignored_by, sa.func.sum(counts.n).label("seen"))
            .where(*of_hours(scope, counts.hour), *of_version(scope, counts.flag_version), *of_cohort(scope, counts.cohort))
            .group_by(counts.fingerprint, counts.ignored_by)
            .subquery()
        )
        same_group = sa.and_(seen.c.fingerprint == table.c.fingerprint, seen.c.ignored_by == table.c.ignored_by)
        query = sa.select(table, seen.c.seen).join(seen, same_group).where(*of_task(scope, table.c.task))
    rows = [row for row in (await connection.execute(query)).mappings() if row["seen"] > 0]
    if not rows:
        return {}
    wanted = None if scope.task is None else [str(row["fingerprint"]) for row in rows]
    samples, trends = await _samples(connection, wanted), await _trends(connection, wanted, now)
    return _by_task(group_of(row, samples, trends) for row in rows)


async def difference_group(connection: AsyncConnection, fingerprint: str, now: datetime) -> DifferenceGroup | None:
    """One group, without what rules hide of it; None where there is none."""
    table = schema.difference_groups
    query = sa.select(table, table.c["count"].label("seen")).where(table.c.fingerprint == fingerprint, table.c.ignored_by == "")
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    return group_of(row, await _samples(connection, [fingerprint]), await _trends(connection, [fingerprint], now))


async def triage_of(connection: AsyncConnection, task: str | None) -> Said:
    """What was said of each group of a task, or of all."""
    table = schema.difference_groups
    query = sa.select(table).where(*of_task(ReportScope(task=task), table.c.task), table.c.triaged_at.is_not(None))
    rows = (await connection.execute(query)).mappings()
    return {(row["fingerprint"], row["ignored_by"]): (TriageState(row["triage"]), _note(row)) for row in rows}


def _by_task(groups: Iterable[DifferenceGroup]) -> Mapping[str, Sequence[DifferenceGroup]]:
    found: dict[str, list[DifferenceGroup]] = defaultdict(list)
    for group in groups:
        found[group.task].append(group)
    return {task: sorted(of_task, key=lambda group: (-group.count, group.path, group.fingerprint)) for task, of_task in found.items()}


async def _samples(connection: AsyncConnection, fingerprints: Sequence[str] | None) -> _Samples:
    """Of these groups, or of all."""
    table = schema.group_samples
    query = sa.select(table).where(*_among(table.c.fingerprint, fingerprints)).order_by(table.c.slot)
    samples: dict[GroupKey, list[Sample]] = defaultdict(list)
    for key, rule, _, submission_id, authority, shadow, version in await connection.execute(query):
        sample = Sample(submission_id=submission_id, authority=json_value(authority), shadow=json_value(shadow), flag_version=version)
        samples[key, rule].append(sample)
    return samples


async def _trends(connection: AsyncConnection, fingerprints: Sequence[str] | None, now: datetime) -> _Trends:
    table, last = schema.group_counts.c, hour_of(now)
    first = last - timedelta(hours=TREND_HOURS - 1)
    query = (
        sa.select(table.fingerprint, table.ignored_by, table.hour, sa.func.sum(table.n))
        .where(table.hour >= first, table.hour <= last, *_among(table.fingerprint, fingerprints))
        .group_by(table.fingerprint, table.ignored_by, table.hour)
    )
    trends: dict[GroupKey, list[int]] = defaultdict(lambda: [0] * TREND_HOURS)
    for fingerprint, ignored_by, hour, n in await connection.execute(query):
        trends[fingerprint, ignored_by][(hour - first) // timedelta(hours=1)] = int(n)
    return trends


def _among(column: sa.Column[str], fingerprints: Sequence[str] | None) -> list[sa.ColumnElement[bool]]:
    return [] if fingerprints is None else [column.in_(fingerprints)]


def group_of(row: sa.RowMapping, samples: _Samples, trends: _Trends) -> DifferenceGroup:
    """The group a row of them holds, `seen` being how often; its samples and trend are looked up."""
    return DifferenceGroup(
        fingerprint=row["fingerprint"],
        task=row["task"],
        aspect=Aspect(row["aspect"]),
        kind=DifferenceKind(row["kind"]),
        path=row["path"],
        count=int(row["seen"]),
        ignored_by=row["ignored_by"] or None,
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        samples=tuple(samples.get((row["fingerprint"], row["ignored_by"]), ())),
        triage=TriageState(row["triage"]),
        triage_note=_note(row),
        cohorts=Sketch.from_text(row["cohorts"]).count(),
        trend=tuple(trends.get((row["fingerprint"], row["ignored_by"]), ())),
    )


def _note(row: sa.RowMapping) -> TriageNote | None:
    """What was said of a group last."""
    if row["triaged_at"] is None:
        return None
    state = TriageState(row["triage"])
    # That it came again is nobody's word.
    said = TriageState.FIXED if state is TriageState.REOPENED else state
    return TriageNote(state=said, author=row["triaged_by"], note=row["triage_note"], said_at=row["triaged_at"])
