"""A ledger of each kind, behind the two ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.core.ports import LedgerReader, LedgerWriter
from gateway.ledger import MemoryLedger, SqlLedgerReader, SqlLedgerWriter, create_ledger_engine, upgrade
from gateway.ledger.schema import metadata


@dataclass(frozen=True)
class Ledger:
    """Both halves of one ledger."""

    writer: LedgerWriter
    reader: LedgerReader


SQL = ["sqlite", pytest.param("postgres", marks=pytest.mark.services)]


@pytest.fixture(params=SQL)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database, PostgreSQL's shared by the module."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def engine(ledger_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on an empty ledger of the present schema."""
    await upgrade(ledger_url)
    engine = create_ledger_engine(ledger_url)
    async with engine.execution_options(dualrun_writes=True).begin() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(sa.delete(table))
    yield engine
    await engine.dispose()


@pytest.fixture(params=["memory", *SQL])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    """An empty ledger."""
    if request.param == "memory":
        memory = MemoryLedger()
        yield Ledger(memory, memory)
        return
    url = f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    await upgrade(url)
    engine = create_ledger_engine(url)
    async with engine.execution_options(dualrun_writes=True).begin() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(sa.delete(table))
    yield Ledger(SqlLedgerWriter(engine), SqlLedgerReader(engine))
    await engine.dispose()
