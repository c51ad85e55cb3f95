"""The migrations and the tables say the same, and starting together is safe."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger import create_ledger_engine, upgrade
from gateway.ledger.database import reading
from gateway.ledger.schema import metadata

ROOT = Path(__file__).parents[3]
VERSIONS = ROOT / "gateway" / "ledger" / "migrations" / "versions"


def changes_wanted(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"version_table": "ledger_version", "compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_migrations_build_exactly_the_tables_the_code_uses(engine: AsyncEngine) -> None:
    async with reading(engine) as connection:
        assert await connection.run_sync(changes_wanted) == []


async def test_upgrading_again_changes_nothing(engine: AsyncEngine, ledger_url: str) -> None:
    newest = max(path.stem for path in VERSIONS.glob("ledger_*.py")).removeprefix("ledger_")
    await upgrade(ledger_url)
    async with reading(engine) as connection:
        assert list(await connection.scalars(sa.text("select version_num from ledger_version"))) == [newest]


async def _tables(url: str) -> set[str]:
    engine = create_ledger_engine(url)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: set(sa.inspect(sync).get_table_names()))
    await engine.dispose()
    return names


async def _drop_everything(url: str) -> None:
    engine = create_ledger_engine(url)
    async with engine.execution_options(dualrun_writes=True).begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.execute(sa.text("drop table if exists ledger_version"))
    await engine.dispose()


@pytest.mark.e2e
def test_processes_that_start_together_all_find_the_schema(ledger_url: str) -> None:
    asyncio.run(_drop_everything(ledger_url))
    program = "import asyncio, sys; from gateway.ledger.migrations import upgrade; asyncio.run(upgrade(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen([sys.executable, "-c", program, ledger_url], stderr=subprocess.PIPE, env=environment) for _ in range(4)]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert [code for _, code in ends] == [0] * 4, ends
    assert set(metadata.tables) <= asyncio.run(_tables(ledger_url))


async def test_counters_of_an_older_schema_are_taken_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.sqlite"
    await upgrade(url, "0010")
    engine = create_ledger_engine(url)
    hour = "2026-05-04 12:00:00.000000"
    async with engine.execution_options(dualrun_writes=True).begin() as connection:
        for statement in (
            f"insert into verdict_counts values ('t', '{hour}', 7, 'equal', 5)",
            f"insert into group_counts values ('f', '', '{hour}', 7, 3)",
            *(f"insert into latency_histogram values ('t', 'authority', '{hour}', {bucket}, {bucket})" for bucket in (4, 9)),
            *(f"insert into node_counts values ('t', '/trace/db', '{measure}', 4, 2)" for measure in ("ratio", "shadow")),
        ):
            await connection.exec_driver_sql(statement)
    await upgrade(url)
    async with engine.connect() as connection:
        rows = {
            name: [tuple(row) for row in await connection.exec_driver_sql(f"select * from {name}")]
            for name in ("verdict_counts", "group_counts", "latencies", "node_times")
        }
    await engine.dispose()
    assert rows == {
        "verdict_counts": [("t", hour, 7, "", "equal", 5)],
        "group_counts": [("f", "", hour, 7, "", 3)],
        "latencies": [("t", "authority", hour, '{"4":4,"9":9}')],
        "node_times": [("t", "/trace/db", "ratio", '{"4":2}'), ("t", "/trace/db", "shadow", '{"4":2}')],
    }
