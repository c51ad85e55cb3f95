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


def changes_wanted(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"version_table": "ledger_version", "compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_migrations_build_exactly_the_tables_the_code_uses(engine: AsyncEngine) -> None:
    async with reading(engine) as connection:
        assert await connection.run_sync(changes_wanted) == []


async def test_upgrading_again_changes_nothing(engine: AsyncEngine, ledger_url: str) -> None:
    await upgrade(ledger_url)
    async with reading(engine) as connection:
        assert list(await connection.scalars(sa.text("select version_num from ledger_version"))) == ["0001"]


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
