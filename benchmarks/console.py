"""The console's pages over 300 tasks and a million comparisons: how long the server takes for each, on SQLite and on PostgreSQL.

A part of the comparisons is stored as a comparator stores them, which fills every counter; the rest are copies of their rows, made by the
database, with the counters multiplied by as much. Run: `python -m benchmarks.console [COMPARISONS]`; PostgreSQL is the server of
`DUALRUN_TEST_POSTGRES_URL`, in a database of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.machine import machine
from benchmarks.report import database_of_its_own
from dualrun.contracts import (
    Announcement,
    Decision,
    Mode,
    Options,
    Outcome,
    Reason,
    Role,
    ServedTask,
    Side,
    State,
    Submission,
    SubmissionRecord,
)
from gateway.api.application import create_application
from gateway.console import create_console
from gateway.core.comparison import Aspect, Comparison, Difference, DifferenceKind, Verdict
from gateway.core.report import ReportScope
from gateway.ledger import SqlLedgerBrowser, SqlLedgerReader, SqlLedgerWriter, create_ledger_engine, upgrade
from gateway.ledger.schema import comparisons, submissions
from tests.support.gateway_parts import MemoryGateway, memory_gateway

RESULTS = Path(__file__).parent / "results" / "console.json"
COMPARISONS = 1_000_000
COPIES = 100
TARGET_MS = 100
BATCH = 5_000
ROUNDS = 12
TASKS = [f"shop.task_{n:03d}" for n in range(300)]
NOW = datetime.now(UTC)


async def main() -> None:
    """Measure, print, write the JSON."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COMPARISONS
    with tempfile.TemporaryDirectory(prefix="dualrun-console-") as directory:
        rows = [await _measure(f"sqlite:///{directory}/ledger.sqlite", count)]
    if (url := os.environ.get("DUALRUN_TEST_POSTGRES_URL")) is not None:
        async with database_of_its_own(url) as own:
            rows.append(await _measure(own, count))
    report = {
        "machine": machine("sqlalchemy", "asyncpg", "aiosqlite"),
        "target_ms": TARGET_MS,
        "load_average": os.getloadavg()[0],
        "ledgers": rows,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=2))


async def _measure(url: str, count: int) -> dict[str, object]:
    await upgrade(url)
    engine = create_ledger_engine(url)
    stored = await _store(engine, count // COPIES)
    await _multiply(engine)
    async with memory_gateway() as gateway:
        pages = await _pages(gateway, engine)
    await engine.dispose()
    return {"ledger": engine.dialect.name, "tasks": len(TASKS), "comparisons": stored * COPIES, "page_ms": pages}


async def _pages(gateway: MemoryGateway, engine: AsyncEngine) -> dict[str, dict[str, float]]:
    reader = SqlLedgerReader(engine)
    services = replace(gateway.services, ledger=reader, browser=SqlLedgerBrowser(engine))
    for task in TASKS:
        gateway.catalogue.announce(
            Announcement(
                worker=f"w-{task}", side=Side.LEGACY, service="shop", tasks=(ServedTask(task=task, routing_key="shop"),), ttl_s=3600.0
            )
        )
    report = await reader.shadow_report(ReportScope(task=TASKS[0]), now=NOW)
    sample = report.tasks[0].groups[0]
    paths = {
        "tasks": "/",
        "tasks, searched": "/?q=task_1&page=2",
        "one task": f"/tasks/{TASKS[0]}",
        "its charts, 24 h": f"/tasks/{TASKS[0]}/activity?window=24 h",
        "its charts, 30 d": f"/tasks/{TASKS[0]}/activity?window=30 d",
        "a difference": f"/differences/{sample.fingerprint}",
        "submissions": "/submissions",
        "submissions of a task that differ": f"/submissions?task={TASKS[0]}&verdict=differs",
        "submissions, equal, a day ago": f"/submissions?verdict=equal&until={(NOW - timedelta(days=1)).strftime('%Y-%m-%dT%H:%M:%S')}",
    }
    transport = httpx.ASGITransport(create_application(services, console=create_console))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return {name: await _page_ms(client, f"/console{path}") for name, path in paths.items()}


async def _page_ms(client: httpx.AsyncClient, path: str) -> dict[str, float]:
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = await client.get(path)
        times.append((time.perf_counter() - began) * 1e3)
        assert answer.status_code == 200, (path, answer.status_code)
    return {"p50": round(statistics.median(times), 1), "max": round(max(times), 1)}


async def _store(engine: AsyncEngine, count: int) -> int:
    writer = SqlLedgerWriter(engine)
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        records = [record for n in numbers for record in _records(n)]
        await writer.append(records, arrived_at=NOW)
        await writer.store([_comparison(n) for n in numbers])
    return count


def _records(n: int) -> list[SubmissionRecord | Outcome]:
    id_, task, at = f"{n:012d}", TASKS[n % len(TASKS)], _moment(n)
    submission = Submission(id=id_, task=task, args=(n,), kwargs={}, options=Options(), cohort_key=f"tenant-{n % 500}", submitted_at=at)
    decision = Decision(
        mode=Mode.SHADOW, authority=Side.LEGACY, shadow=Side.EVENTS, reason=Reason.BY_MODE, bucket=None, flag_version=1 + n % 3
    )
    sides = ((Role.AUTHORITY, Side.LEGACY), (Role.SHADOW, Side.EVENTS))
    outcomes = [
        Outcome(
            submission_id=id_, task=task, side=side, role=role, state=State.SUCCEEDED, value={"total": n}, elapsed_ms=20.0 + n % 50,
            started_at=at, ended_at=at + timedelta(milliseconds=30), worker="w", flag_version=1 + n % 3,
        )
        for role, side in sides
    ]  # fmt: skip
    return [SubmissionRecord(submission=submission, decision=decision), *outcomes]


def _comparison(n: int) -> Comparison:
    different = n // len(TASKS) % 5 == 0
    path = f"/value/items/[*]/field_{n % 7}"
    difference = Difference(
        aspect=Aspect.VALUE, kind=DifferenceKind.VALUE, path=path, authority={"price": "19.90"}, shadow={"price": "19.89"}
    )
    return Comparison(
        submission_id=f"{n:012d}",
        task=TASKS[n % len(TASKS)],
        verdict=Verdict.DIFFERENT_VALUE if different else Verdict.EQUAL,
        differences=(difference,) if different else (),
        authority_ms=20.0 + n % 50,
        shadow_ms=18.0 + n % 60,
        skew_ms=12.0,
        ruleset_version="r1",
        flag_version=1 + n % 3,
        compared_at=_moment(n),
        cohort_key=f"tenant-{n % 500}",
    )


def _moment(n: int) -> datetime:
    return NOW - timedelta(minutes=n % 4_320)


async def _multiply(engine: AsyncEngine) -> None:
    """Every submission and comparison many times over, and every counter as large as that."""
    async with engine.execution_options(dualrun_writes=True).begin() as connection:
        for table, key in ((submissions, "id"), (comparisons, "submission_id")):
            columns = ", ".join(column.name for column in table.columns if column.name != key)
            for n in range(1, COPIES):
                source = f"select {key} || '-{n}', {columns} from {table.name} where length({key}) = 12"
                await connection.exec_driver_sql(f"insert into {table.name} ({key}, {columns}) {source}")
        for name in ("verdict_counts", "group_counts", "activity"):
            await connection.exec_driver_sql(f"update {name} set n = n * {COPIES}")
        await connection.exec_driver_sql(f"update difference_groups set count = count * {COPIES}")
        if engine.dialect.name == "postgresql":
            await connection.execute(sa.text("analyze"))


if __name__ == "__main__":
    asyncio.run(main())
