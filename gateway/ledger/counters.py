"""Adds a tally to the counters, groups and samples of a ledger, within the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger import schema
from gateway.ledger.rows import Row, json_text
from gateway.ledger.statement import insert_or_add, insert_or_replace, upsert
from gateway.ledger.tally import GroupKey, GroupTally, Tally, slot_for

__all__ = ["add_tally"]


async def add_tally(connection: AsyncConnection, tally: Tally) -> None:
    """Add it all."""
    verdicts: Counter[tuple[object, ...]] = Counter()
    for (task, hour, version, verdict), n in tally.verdicts.items():
        for kept_under in (hour, schema.ALL_TIME):
            verdicts[task, kept_under, version, str(verdict)] += n
    await _add(connection, schema.verdict_counts, verdicts)
    latencies: Counter[tuple[object, ...]] = Counter()
    for (task, role, hour, bucket), n in tally.latencies.items():
        for kept_under in (hour, schema.ALL_TIME):
            latencies[task, str(role), kept_under, bucket] += n
    await _add(connection, schema.latency_histogram, latencies)
    await _add_groups(connection, sorted(tally.groups.items(), key=lambda item: item[0]))


async def _add(connection: AsyncConnection, table: sa.Table, counts: Mapping[tuple[object, ...], int]) -> None:
    """Add counts, keyed by the table's primary key, in its order: writers that overlap wait for one another and never deadlock."""
    names = [column.name for column in table.primary_key]
    rows = [dict(zip((*names, "n"), (*key, n), strict=True)) for key, n in sorted(counts.items(), key=_by_key) if n]
    if rows:
        await connection.execute(insert_or_add(connection.dialect.name, table), rows)


def _by_key(item: tuple[tuple[object, ...], int]) -> tuple[str, ...]:
    return tuple(map(str, item[0]))


async def _add_groups(connection: AsyncConnection, groups: Sequence[tuple[GroupKey, GroupTally]]) -> None:
    if not groups:
        return
    counts = await _counts_after(connection, [_group_row(key, group) for key, group in groups])
    await _add(connection, schema.group_counts, {(*key, hour): n for key, group in groups for hour, n in group.hours.items()})
    samples: dict[tuple[GroupKey, int], Row] = {}
    for key, group in groups:
        seen_before = counts[key] - group.count
        for seen, sample in enumerate(group.samples, seen_before + 1):
            slot = slot_for(key, sample.submission_id, seen)
            if slot is not None:
                values = (json_text(sample.authority), json_text(sample.shadow))
                samples[key, slot] = _keyed(key, slot=slot, submission_id=sample.submission_id, authority=values[0], shadow=values[1])
    if samples:
        rows = [samples[key] for key in sorted(samples)]
        await connection.execute(insert_or_replace(connection.dialect.name, schema.group_samples), rows)


async def _counts_after(connection: AsyncConnection, rows: list[Row]) -> dict[GroupKey, int]:
    table = schema.difference_groups
    least, most = (sa.func.min, sa.func.max) if connection.dialect.name == "sqlite" else (sa.func.least, sa.func.greatest)
    statement = upsert(
        connection.dialect.name,
        table,
        lambda new: {
            "count": table.c["count"] + new["count"],
            "first_seen": least(table.c.first_seen, new.first_seen),
            "last_seen": most(table.c.last_seen, new.last_seen),
        },
    )
    result = await connection.execute(statement.returning(table.c.fingerprint, table.c.ignored_by, table.c["count"]), rows)
    return {(fingerprint, ignored_by): count for fingerprint, ignored_by, count in result}


def _group_row(key: GroupKey, group: GroupTally) -> Row:
    difference = group.difference
    return _keyed(
        key,
        task=group.task,
        aspect=str(difference.aspect),
        kind=str(difference.kind),
        path=difference.path,
        count=group.count,
        first_seen=group.first_seen,
        last_seen=group.last_seen,
    )


def _keyed(key: GroupKey, **values: object) -> Row:
    return {"fingerprint": key[0], "ignored_by": key[1], **values}
