"""What a report is made of, from counters and groups alone: its cost grows with tasks, hours and distinct differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from dualrun.contracts import Role
from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from gateway.core.moment import hour_of
from gateway.core.report import DifferenceGroup, Sample
from gateway.ledger import schema
from gateway.ledger.rows import json_value
from gateway.ledger.tally import GroupKey

__all__ = ["Window", "difference_groups", "latency_histograms", "pending_counts", "verdict_counts"]


@dataclass(frozen=True, slots=True)
class Window:
    """One task or all, from the hour `since` is in to the hour `until` is in; None as a bound means open."""

    task: str | None
    since: datetime | None
    until: datetime | None

    @property
    def is_open(self) -> bool:
        return self.since is None and self.until is None

    def of_task(self, column: sa.Column[str]) -> list[sa.ColumnElement[bool]]:
        return [] if self.task is None else [column == self.task]

    def of_hours(self, column: sa.Column[datetime]) -> list[sa.ColumnElement[bool]]:
        if self.is_open:
            return []
        begin = column > schema.ALL_TIME if self.since is None else column >= hour_of(self.since)
        return [begin] if self.until is None else [begin, column <= self.until]

    def of_counts(self, column: sa.Column[datetime]) -> list[sa.ColumnElement[bool]]:
        """The hours of the window, or the totals of all time."""
        return [column == schema.ALL_TIME] if self.is_open else self.of_hours(column)


async def verdict_counts(connection: AsyncConnection, window: Window) -> Mapping[str, Mapping[Verdict, int]]:
    """Per task, how often each verdict was given."""
    table = schema.verdict_counts.c
    query = (
        sa.select(table.task, table.verdict, sa.func.sum(table.n))
        .where(*window.of_task(table.task), *window.of_counts(table.hour))
        .group_by(table.task, table.verdict)
    )
    counts: dict[str, dict[Verdict, int]] = defaultdict(dict)
    for task, verdict, n in await connection.execute(query):
        if n:
            counts[task][Verdict(verdict)] = int(n)
    return counts


async def pending_counts(connection: AsyncConnection, window: Window) -> Mapping[str, int]:
    """Per task, pairs that wait for an outcome. Read from an index of nothing else."""
    table = schema.submissions.c
    query = (
        sa.select(table.task, sa.func.count())
        .where(schema.is_pending, *window.of_task(table.task), *window.of_hours(table.due_at))
        .group_by(table.task)
    )
    return {task: int(n) for task, n in await connection.execute(query)}


async def latency_histograms(connection: AsyncConnection, window: Window) -> Mapping[tuple[str, Role], Mapping[int, int]]:
    """Per task and role, the histogram of execution times."""
    table = schema.latency_histogram.c
    query = (
        sa.select(table.task, table.role, table.bucket, sa.func.sum(table.n))
        .where(*window.of_task(table.task), *window.of_counts(table.hour))
        .group_by(table.task, table.role, table.bucket)
    )
    histograms: dict[tuple[str, Role], dict[int, int]] = defaultdict(dict)
    for task, role, bucket, n in await connection.execute(query):
        histograms[task, Role(role)][bucket] = int(n)
    return histograms


async def difference_groups(connection: AsyncConnection, window: Window) -> Mapping[str, Sequence[DifferenceGroup]]:
    """Per task, the groups seen in the window, the most frequent first. Times and samples are of the group's whole life."""
    table = schema.difference_groups
    if window.is_open:
        query = sa.select(table, table.c["count"].label("seen")).where(*window.of_task(table.c.task))
    else:
        counts = schema.group_counts.c
        seen = (
            sa.select(counts.fingerprint, counts.ignored_by, sa.func.sum(counts.n).label("seen"))
            .where(*window.of_hours(counts.hour))
            .group_by(counts.fingerprint, counts.ignored_by)
            .subquery()
        )
        same_group = sa.and_(seen.c.fingerprint == table.c.fingerprint, seen.c.ignored_by == table.c.ignored_by)
        query = sa.select(table, seen.c.seen).join(seen, same_group).where(*window.of_task(table.c.task))
    samples = await _samples(connection, window)
    groups: dict[str, list[DifferenceGroup]] = defaultdict(list)
    for row in (await connection.execute(query)).mappings():
        groups[row["task"]].append(_group(row, samples))
    return {task: sorted(found, key=lambda group: (-group.count, group.path, group.fingerprint)) for task, found in groups.items()}


async def _samples(connection: AsyncConnection, window: Window) -> Mapping[GroupKey, Sequence[Sample]]:
    table, groups = schema.group_samples, schema.difference_groups
    same_group = sa.and_(groups.c.fingerprint == table.c.fingerprint, groups.c.ignored_by == table.c.ignored_by)
    query = sa.select(table).join(groups, same_group).where(*window.of_task(groups.c.task)).order_by(table.c.slot)
    samples: dict[GroupKey, list[Sample]] = defaultdict(list)
    for key, rule, _, submission_id, authority, shadow in await connection.execute(query):
        sample = Sample(submission_id=submission_id, authority=json_value(authority), shadow=json_value(shadow))
        samples[key, rule].append(sample)
    return samples


def _group(row: sa.RowMapping, samples: Mapping[GroupKey, Sequence[Sample]]) -> DifferenceGroup:
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
    )
