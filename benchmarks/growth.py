"""How the ledger grows: with distinct differences, not with traffic.

30 tasks, three of which differ, together in one pair of twenty, at the same traffic day after day; submissions, outcomes and comparisons
are written as a comparator writes them, and the ledger's retention is applied after each day, with a clock of the benchmark's own. For the
first half there are 40 distinct differences a task, then 400. What is in use is measured each day: rows of raw records, all other rows, and
bytes (SQLite: pages that are not free; PostgreSQL: tables and indices after VACUUM). Run: `python -m benchmarks.growth`; PostgreSQL is the
server of `DUALRUN_TEST_POSTGRES_URL`, in a database of its own. The curve is drawn into docs/growth.svg.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.growth_plot import Day, plot
from benchmarks.machine import machine
from benchmarks.report import database_of_its_own
from dualrun.contracts import Decision, JsonValue, Mode, Outcome, Reason, Record, Role, Side, State, Submission, SubmissionRecord
from gateway.core.comparison import Aspect, Comparison, Difference, DifferenceKind, Verdict
from gateway.ledger import SqlLedgerWriter, SqlRetention, create_ledger_engine, upgrade
from gateway.ledger.schema import metadata
from gateway.usecases.apply_retention import ApplyRetention, Retention

RESULTS = Path(__file__).parent / "results" / "growth.json"
PICTURE = Path(__file__).parents[1] / "docs" / "growth.svg"
DAYS, PAIRS_A_DAY, BATCH = 24, 2_500, 500
DISTINCT = (40, 400)
TASKS = [f"shop.task_{n}" for n in range(30)]
FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)
RETENTION = Retention(records=timedelta(days=3), hours=timedelta(days=5))
RAW = {"submissions", "outcomes", "comparisons"}
VALUE: JsonValue = {"order": 1_234, "lines": [{"sku": f"article-{n}", "price": "19.90", "quantity": n} for n in range(8)]}


async def main() -> None:
    """Measure, print, write the JSON and the picture."""
    ledgers: dict[str, list[Day]] = {}
    with tempfile.TemporaryDirectory(prefix="dualrun-growth-") as directory:
        ledgers["sqlite"] = await _grow(f"sqlite:///{directory}/ledger.sqlite")
    url = os.environ.get("DUALRUN_TEST_POSTGRES_URL")
    if url is not None:
        async with database_of_its_own(url) as own:
            ledgers["postgresql"] = await _grow(own)
    settings = {"days": DAYS, "pairs_a_day": PAIRS_A_DAY, "records_kept_days": 3, "hours_kept_days": 5, "tasks": len(TASKS)}
    report = {"machine": machine("sqlalchemy", "asyncpg", "aiosqlite"), "settings": settings, "ledgers": msgspec.to_builtins(ledgers)}
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    PICTURE.write_text(plot(ledgers), encoding="utf-8")
    for name, days in ledgers.items():
        for day in days:
            print(name, day)


async def _grow(url: str) -> list[Day]:
    await upgrade(url)
    engine = create_ledger_engine(url)
    writer = SqlLedgerWriter(engine)
    days: list[Day] = []
    for number in range(DAYS):
        distinct = DISTINCT[2 * number // DAYS]
        begins = FIRST_DAY + timedelta(days=number)
        pairs = list(_pairs(number * PAIRS_A_DAY, begins, distinct))
        for start in range(0, len(pairs), BATCH):
            some = pairs[start : start + BATCH]
            await writer.append([record for records, _ in some for record in records], arrived_at=begins)
            await writer.store([comparison for _, comparison in some])
        ends = partial(datetime.fromtimestamp, (begins + timedelta(days=1)).timestamp(), UTC)
        await ApplyRetention(SqlRetention(engine), RETENTION, now=ends).apply(asyncio.Event())
        days.append(await _size(engine, (number + 1) * PAIRS_A_DAY, distinct))
    await engine.dispose()
    return days


def _pairs(first: int, begins: datetime, distinct: int) -> Iterator[tuple[list[Record], Comparison]]:
    draw = random.Random(first)
    for n in range(first, first + PAIRS_A_DAY):
        at = begins + timedelta(seconds=draw.random() * 86_400)
        differs = n % 20 == 0
        submission = Submission(
            id=f"{n:012d}", task=TASKS[n % len(TASKS)], kwargs={"order": n}, cohort_key=f"tenant-{n % 500}", submitted_at=at
        )
        decision = Decision(
            mode=Mode.SHADOW, authority=Side.LEGACY, shadow=Side.EVENTS, reason=Reason.BY_MODE, bucket=None, flag_version=1 + n // 20_000
        )
        records: list[Record] = [SubmissionRecord(submission=submission, decision=decision)]
        records += [_outcome(submission, role, at, draw.lognormvariate(3, 1)) for role in Role]
        yield (
            records,
            Comparison(
                submission_id=submission.id,
                task=submission.task,
                verdict=Verdict.DIFFERENT_VALUE if differs else Verdict.EQUAL,
                differences=(_difference(draw.randrange(distinct)),) if differs else (),
                authority_ms=20.0,
                shadow_ms=18.0,
                skew_ms=5.0,
                ruleset_version="r1",
                flag_version=decision.flag_version,
                compared_at=at,
                cohort="",
                cohort_key=submission.cohort_key,
            ),
        )


def _outcome(submission: Submission, role: Role, at: datetime, elapsed_ms: float) -> Outcome:
    return Outcome(
        submission_id=submission.id,
        task=submission.task,
        side=Side.LEGACY if role is Role.AUTHORITY else Side.EVENTS,
        role=role,
        state=State.SUCCEEDED,
        value=VALUE,
        elapsed_ms=elapsed_ms,
        started_at=at,
        ended_at=at + timedelta(milliseconds=elapsed_ms),
        worker="worker:1",
        flag_version=1,
    )


def _difference(n: int) -> Difference:
    seed = Difference(aspect=Aspect.VALUE, kind=DifferenceKind.VALUE, path="", authority={"price": "19.90"}, shadow={"price": "19.89"})
    return replace(seed, path=f"/value/lines/[*]/field_{n}")


async def _size(engine: AsyncEngine, pairs: int, distinct: int) -> Day:
    async with engine.connect() as connection:
        rows = {t.name: await connection.scalar(sa.select(sa.func.count()).select_from(t)) or 0 for t in metadata.sorted_tables}
    return Day(
        pairs=pairs,
        distinct=distinct,
        raw_rows=sum(n for name, n in rows.items() if name in RAW),
        other_rows=sum(n for name, n in rows.items() if name not in RAW),
        kib=await _bytes(engine) // 1024,
    )


async def _bytes(engine: AsyncEngine) -> int:
    if engine.dialect.name == "sqlite":
        async with engine.connect() as connection:
            pragmas = ("page_count", "freelist_count", "page_size")
            count, free, size = [int((await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()) for name in pragmas]
        return (count - free) * size
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.exec_driver_sql("VACUUM ANALYZE")
        names = ", ".join(f"pg_total_relation_size('{table.name}')" for table in metadata.sorted_tables)
        return sum((await connection.exec_driver_sql(f"SELECT {names}")).one())


if __name__ == "__main__":
    asyncio.run(main())
