"""A ledger of each kind, behind its ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.core.ports import GateLedger, JudgementLedger, LedgerBrowser, LedgerReader, LedgerWriter, RetentionLedger, TriageLedger
from gateway.ledger import (
    MemoryLedger,
    SqlGateLedger,
    SqlJudgements,
    SqlLedgerBrowser,
    SqlLedgerReader,
    SqlLedgerWriter,
    SqlRetention,
    SqlTriage,
    create_ledger_engine,
    upgrade,
)
from gateway.ledger.schema import metadata


@dataclass(frozen=True)
class Ledger:
    """One ledger by all its ports."""

    writer: LedgerWriter
    reader: LedgerReader
    triage: TriageLedger
    judgements: JudgementLedger
    gate: GateLedger
    browser: LedgerBrowser
    retention: RetentionLedger


SQL = ["sqlite", pytest.param("postgres", marks=pytest.mark.services)]


@pytest.fixture(params=SQL)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database, PostgreSQL's shared by the module."""
    return _url(request, tmp_path)


@pytest.fixture
async def engine(ledger_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on an empty ledger of the present schema."""
    async with _emptied(ledger_url) as engine:
        yield engine


@pytest.fixture(params=["memory", *SQL])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    """An empty ledger."""
    if request.param == "memory":
        memory = MemoryLedger()
        yield Ledger(memory, memory, memory, memory, memory, memory, memory)
        return
    async with _emptied(_url(request, tmp_path)) as engine:
        yield Ledger(
            SqlLedgerWriter(engine),
            SqlLedgerReader(engine),
            SqlTriage(engine),
            SqlJudgements(engine),
            SqlGateLedger(engine),
            SqlLedgerBrowser(engine),
            SqlRetention(engine),
        )


def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@asynccontextmanager
async def _emptied(url: str) -> AsyncIterator[AsyncEngine]:
    await upgrade(url)
    engine = create_ledger_engine(url)
    async with engine.execution_options(dualrun_writes=True).begin() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(sa.delete(table))
    yield engine
    await engine.dispose()
