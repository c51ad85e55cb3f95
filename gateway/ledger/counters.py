"""Adds a tally to the counters, groups and samples of a ledger, within the caller's transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from dualrun.contracts import Outcome
from gateway.core.activity import FINE_KEPT, FINE_S
from gateway.core.sketch import Sketch
from gateway.ledger import schema
from gateway.ledger.histograms import HistogramKey, add_histograms
from gateway.ledger.rows import Row, json_text
from gateway.ledger.statement import insert_new, insert_or_add, insert_or_replace, upsert
from gateway.ledger.tally import RAN_AGAIN, ActivityKey, GroupKey, GroupTally, Tally, executions, slot_for

__all__ = ["add_outcomes", "add_reruns", "add_tally", "forget_fine_activity"]


async def add_tally(connection: AsyncConnection, tally: Tally) -> None:
    """Add it all."""
    verdicts: Counter[tuple[object, ...]] = Counter()
    for (task, hour, version, cohort, verdict), n in tally.verdicts.items():
        for kept_under in (hour, schema.ALL_TIME):
            verdicts[task, kept_under, version, cohort, str(verdict)] += n
    await _add(connection, schema.verdict_counts, verdicts)
    latencies: dict[HistogramKey, Counter[int]] = defaultdict(Counter)
    for (task, role, hour, bucket), n in tally.latencies.items():
        for kept_under in (hour, schema.ALL_TIME):
            latencies[task, str(role), kept_under][bucket] += n
    await add_histograms(connection, schema.latencies, latencies)
    nodes: dict[HistogramKey, Counter[int]] = defaultdict(Counter)
    for (task, path, measure, bucket), n in tally.nodes.items():
        nodes[task, path, measure][bucket] += n
    await add_histograms(connection, schema.node_times, nodes)
    await _add(connection, schema.ratio_counts, Counter[tuple[object, ...]](tally.ratios))
    skews = {(task, bucket, int(different)): n for (task, bucket, different), n in tally.skews.items()}
    await _add(connection, schema.skew_counts, Counter[tuple[object, ...]](skews))
    await _add(connection, schema.control_counts, Counter[tuple[object, ...]](tally.controls))
    await _add(connection, schema.answer_counts, Counter[tuple[object, ...]](tally.answers))
    await _add_activity(connection, {key: (n, 0.0) for key, n in tally.matches.items()})
    await _add_cohorts(connection, tally)
    await _add_groups(connection, sorted(tally.groups.items(), key=lambda item: item[0]))


async def add_outcomes(connection: AsyncConnection, outcomes: Iterable[Outcome]) -> None:
    """Count outcomes that were not on record before."""
    outcomes = list(outcomes)
    counts = Counter[tuple[object, ...]]((o.task, o.flag_version, str(o.side), str(o.role), str(o.state)) for o in outcomes)
    await _add(connection, schema.outcome_counts, counts)
    await _add_activity(connection, executions(outcomes))


async def add_reruns(connection: AsyncConnection, outcomes: Iterable[Outcome]) -> None:
    """Count outcomes of a second run."""
    await _add(connection, schema.answer_counts, Counter[tuple[object, ...]]((one.task, RAN_AGAIN) for one in outcomes))


async def forget_fine_activity(connection: AsyncConnection, now: datetime) -> None:
    """Drop the fine steps that are kept no longer."""
    table = schema.activity
    await connection.execute(sa.delete(table).where(table.c.step_s == FINE_S, table.c.at < now - FINE_KEPT))


async def _add_activity(connection: AsyncConnection, counts: Mapping[ActivityKey, tuple[int, float]]) -> None:
    rows = [
        {"task": task, "step_s": step_s, "at": at, "series": str(series), "n": n, "total_ms": total_ms}
        for (task, step_s, at, series), (n, total_ms) in sorted(counts.items())
        if n
    ]
    if rows:
        await connection.execute(insert_or_add(connection.dialect.name, schema.activity), rows)


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
    await _add(connection, schema.group_counts, {(*key, *hour): n for key, group in groups for hour, n in group.hours.items()})
    await _add_group_cohorts(connection, groups)
    samples: dict[tuple[GroupKey, int], Row] = {}
    for key, group in groups:
        seen_before = max(0, counts[key] - len(group.samples))
        for seen, sample in enumerate(group.samples, seen_before + 1):
            slot = slot_for(key, sample.submission_id, seen)
            if slot is not None:
                values = (json_text(sample.authority), json_text(sample.shadow))
                samples[key, slot] = _keyed(
                    key,
                    slot=slot,
                    submission_id=sample.submission_id,
                    authority=values[0],
                    shadow=values[1],
                    flag_version=sample.flag_version,
                )
    if samples:
        rows = [samples[key] for key in sorted(samples)]
        await connection.execute(insert_or_replace(connection.dialect.name, schema.group_samples), rows)


async def _add_cohorts(connection: AsyncConnection, tally: Tally) -> None:
    table = schema.task_cohorts
    for task, keys in sorted(tally.cohort_keys.items()):
        await connection.execute(insert_new(connection.dialect.name, table), {"task": task, "cohorts": ""})
        same = table.c.task == sa.bindparam("of_task", type_=schema.KeyText)
        text = (await connection.execute(sa.select(table.c.cohorts).where(same).with_for_update(), {"of_task": task})).scalar_one()
        more = Sketch.from_text(text).with_keys(keys).to_text()
        if more != text:
            await connection.execute(sa.update(table).where(same).values(cohorts=more), {"of_task": task})


async def _add_group_cohorts(connection: AsyncConnection, groups: Sequence[tuple[GroupKey, GroupTally]]) -> None:
    # The rows are locked: their counts have just been added to.
    table = schema.difference_groups
    for (fingerprint, ignored_by), group in groups:
        if not group.cohort_keys:
            continue
        same = sa.and_(table.c.fingerprint == fingerprint, table.c.ignored_by == ignored_by)
        text = (await connection.execute(sa.select(table.c.cohorts).where(same))).scalar_one()
        more = Sketch.from_text(text).with_keys(group.cohort_keys).to_text()
        if more != text:
            await connection.execute(sa.update(table).where(same).values(cohorts=more))


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
            # Seen again after somebody called it fixed. A judgement that is taken back is no sighting.
            "triage": sa.case(
                (sa.and_(table.c.triage == "fixed", new["count"] > 0, new.last_seen > table.c.triaged_at), "reopened"),
                else_=table.c.triage,
            ),
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
