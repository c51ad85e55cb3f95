"""The report over a million stored comparisons, and how the ledger grows: on SQLite and on PostgreSQL, through the ledger's own code.

The traffic has 300 tasks, of which 15 differ in 40 ways each, three days of hours, 5,000 cohort keys and two cohorts. The console's first
page and a task's page are asked for over the gateway's application, as a browser would. A part of the comparisons is stored as a
comparator stores them, which fills every counter; the rest are copies of their rows, made by the database, with the counters multiplied
by as much. Between the two, and with ten times as many distinct differences, the rows beside the raw records are counted. Run: `python -m
benchmarks.report [COMPARISONS]`; PostgreSQL is the server of `DUALRUN_TEST_POSTGRES_URL`, in a database of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.machine import machine
from gateway.api.application import create_application
from gateway.console import create_console
from gateway.core.comparison import Aspect, Comparison, Difference, DifferenceKind, Verdict
from gateway.core.report import ReportScope, ShadowReport
from gateway.ledger import SqlLedgerReader, SqlLedgerWriter, create_ledger_engine, upgrade
from gateway.ledger.schema import comparisons as comparisons_table
from gateway.ledger.schema import metadata
from gateway.report import render_html, render_json
from tests.support.gateway_parts import memory_gateway

RESULTS = Path(__file__).parent / "results" / "report.json"
COMPARISONS = 1_000_000
TARGET_MS = 200
BATCH = 10_000
ROUNDS = 15
COPIES = 50
TASKS = [f"shop.task_{n}" for n in range(300)]
PAGE_TARGET_MS = 100
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RAW = {"submissions", "outcomes", "comparisons"}


async def main() -> None:
    """Measure, print, write the JSON."""
    comparisons = int(sys.argv[1]) if len(sys.argv) > 1 else COMPARISONS
    rows = []
    with tempfile.TemporaryDirectory(prefix="dualrun-report-") as directory:
        rows.append(await _measure(f"sqlite:///{directory}/ledger.sqlite", comparisons))
    url = os.environ.get("DUALRUN_TEST_POSTGRES_URL")
    if url is not None:
        async with database_of_its_own(url) as own:
            rows.append(await _measure(own, comparisons))
    report = {
        "machine": machine("sqlalchemy", "asyncpg", "aiosqlite"),
        "target_ms": TARGET_MS,
        "page_target_ms": PAGE_TARGET_MS,
        "load_average": os.getloadavg()[0],
        "ledgers": rows,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=2))


async def _measure(url: str, comparisons: int) -> dict[str, object]:
    await upgrade(url)
    engine = create_ledger_engine(url)
    writer, reader = SqlLedgerWriter(engine), SqlLedgerReader(engine)
    curve: list[dict[str, object]] = []
    stored, began, part = 0, time.perf_counter(), comparisons // COPIES
    for share in (0.1, 0.5, 1.0):
        stored = await _store(writer, stored, int(part * share), 40)
        curve.append(await _size(engine, stored, 40))
    seconds = time.perf_counter() - began
    await _multiply(engine, COPIES)
    curve.append(await _size(engine, stored * COPIES, 40))
    result: dict[str, object] = {
        "ledger": engine.dialect.name,
        "comparisons": stored * COPIES,
        "stored_per_s": round(stored / seconds),
        "report_ms": {
            "every task, all time": await _report_ms(reader, ReportScope()),
            "every task, one day": await _report_ms(reader, ReportScope(since=NOW - timedelta(days=1))),
            "every task, one cohort": await _report_ms(reader, ReportScope(cohort="beta")),
            "one task, all time": await _report_ms(reader, ReportScope(task=TASKS[0])),
            "one task, one day": await _report_ms(reader, ReportScope(task=TASKS[0], since=NOW - timedelta(days=1))),
            "one cohort key": await _report_ms(reader, ReportScope(cohort_key="tenant-7")),
        },
        "page_ms": await _pages_ms(engine),
    }
    await _store(writer, comparisons, comparisons + part // 2, 400)
    curve.append(await _size(engine, stored * COPIES + part // 2, 400))
    result["rows_beside_raw_records"] = curve
    await engine.dispose()
    return result


async def _multiply(engine: AsyncEngine, times: int) -> None:
    """Every comparison `times` over, and every counter as large as that."""
    columns = ", ".join(column.name for column in comparisons_table.columns if column.name != "submission_id")
    source = f"{columns} from comparisons where length(submission_id) = 12"
    async with engine.execution_options(dualrun_writes=True).begin() as connection:
        for n in range(1, times):
            copied = f"insert into comparisons (submission_id, {columns}) select submission_id || '-{n}', {source}"
            await connection.exec_driver_sql(copied)
        for table in ("verdict_counts", "group_counts", "skew_counts"):
            await connection.exec_driver_sql(f"update {table} set n = n * {times}")
        # Histograms stay as they are: their size is that of their buckets, not of their counts.
        await connection.exec_driver_sql(f"update difference_groups set count = count * {times}")


async def _store(writer: SqlLedgerWriter, start: int, end: int, distinct: int) -> int:
    batch: list[Comparison] = []
    for comparison in _comparisons(start, end, distinct):
        batch.append(comparison)
        if len(batch) == BATCH:
            await writer.store(batch)
            batch = []
    await writer.store(batch)
    return end


def _comparisons(start: int, end: int, distinct: int) -> Iterator[Comparison]:
    draw = random.Random(start)
    for n in range(start, end):
        different = n % 20 == 0
        verdict = Verdict.DIFFERENT_VALUE if different else Verdict.EQUAL
        yield Comparison(
            submission_id=f"{n:012d}",
            task=TASKS[n % len(TASKS)],
            verdict=verdict,
            differences=(_difference(draw.randrange(distinct)),) if different else (),
            authority_ms=draw.lognormvariate(3, 1),
            shadow_ms=draw.lognormvariate(2.8, 1),
            skew_ms=draw.lognormvariate(5, 2),
            ruleset_version="r1",
            flag_version=1 + n % 3,
            compared_at=NOW - timedelta(hours=draw.randrange(72)),
            cohort="beta" if n % 10 == 3 else "",
            cohort_key=f"tenant-{draw.randrange(5_000)}",
            node_times=(("/trace/db:postgresql:select:orders", 3.0, 2.5), ("/trace/http:POST:bank/charges", 20.0, 21.0)),
        )


def _difference(n: int) -> Difference:
    seed = Difference(aspect=Aspect.VALUE, kind=DifferenceKind.VALUE, path="", authority={"price": "19.90"}, shadow={"price": "19.89"})
    return replace(seed, path=f"/value/items/[*]/field_{n}")


async def _report_ms(reader: SqlLedgerReader, scope: ReportScope) -> dict[str, float]:
    """From the question to the page, median and worst of several."""
    asked: list[float] = []
    pages: list[float] = []
    computing: list[float] = []
    for _ in range(ROUNDS):
        began, computed = time.perf_counter(), time.process_time()
        report: ShadowReport = await reader.shadow_report(scope, now=NOW)
        asked.append((time.perf_counter() - began) * 1e3)
        render_json(report)
        pages.append((time.perf_counter() - began) * 1e3)
        computing.append((time.process_time() - computed) * 1e3)
    render_html(report)
    return {
        "ledger_p50": round(statistics.median(asked), 1),
        "json_p50": round(statistics.median(pages), 1),
        "json_max": round(max(pages), 1),
        "computing_p50": round(statistics.median(computing), 1),
    }


async def _pages_ms(engine: AsyncEngine) -> dict[str, dict[str, float]]:
    """The console's pages, median and worst of several, the first request left out."""
    async with memory_gateway(engine) as gateway:
        transport = httpx.ASGITransport(create_application(gateway.services, console=create_console))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            pages = {"every task": "/console/", "one task": f"/console/tasks/{TASKS[0]}"}
            return {name: await _page_ms(client, path) for name, path in pages.items()}


async def _page_ms(client: httpx.AsyncClient, path: str) -> dict[str, float]:
    taken: list[float] = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        answer = await client.get(path)
        taken.append((time.perf_counter() - began) * 1e3)
        answer.raise_for_status()
    return {"p50": round(statistics.median(taken[1:]), 1), "max": round(max(taken[1:]), 1)}


async def _size(engine: AsyncEngine, comparisons: int, distinct: int) -> dict[str, object]:
    async with engine.connect() as connection:
        counts = {
            t.name: (await connection.execute(sa.select(sa.func.count()).select_from(t))).scalar_one() for t in metadata.sorted_tables
        }
    kept = sum(n for name, n in counts.items() if name not in RAW)
    return {"comparisons": comparisons, "distinct_paths": distinct, "rows": kept, "groups": counts["difference_groups"]}


@asynccontextmanager
async def database_of_its_own(url: str) -> AsyncIterator[str]:
    """A database of the benchmark's own, dropped at the end."""
    name = f"dualrun_report_{os.getpid()}"
    admin = create_ledger_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(sa.text(f'create database "{name}"'))
    try:
        yield sa.make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        async with admin.connect() as connection:
            await connection.execute(sa.text(f'drop database "{name}" with (force)'))
        await admin.dispose()


if __name__ == "__main__":
    asyncio.run(main())
