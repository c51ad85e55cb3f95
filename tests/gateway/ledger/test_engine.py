"""How the ledger's database is reached."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from dualrun.errors import ConfigurationError
from gateway.core.errors import StoreUnavailable
from gateway.core.report import ReportScope
from gateway.ledger import SqlLedgerReader, SqlLedgerWriter, create_ledger_engine, sqlalchemy_url, upgrade
from tests.support.records import NOON, a_record


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///ledger.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////var/ledger.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@h/db", "postgresql+asyncpg"),
        ("postgres://u:p@h/db", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@h/db", "postgresql+asyncpg"),
    ],
)
def test_plain_urls_get_the_asynchronous_driver(given: str, driver: str) -> None:
    assert sqlalchemy_url(given).drivername == driver


@pytest.mark.parametrize("given", ["mysql://h/db", "sqlite://", "sqlite:///:memory:", "no url", ""])
def test_a_url_that_names_no_ledger_is_refused_with_what_would_be_right(given: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///path"):
        sqlalchemy_url(given)


async def test_sqlite_is_set_up_for_several_processes(tmp_path: Path) -> None:
    engine = create_ledger_engine(f"sqlite:///{tmp_path}/ledger.db")
    async with engine.connect() as connection:
        found = {name: await connection.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")}
        busy_timeout_ms = await connection.scalar(sa.text("PRAGMA busy_timeout"))
    await engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1}
    assert busy_timeout_ms == 10_000


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/ledger.db", "postgresql://postgres@127.0.0.1:1/none"])
async def test_a_ledger_out_of_reach_is_said_so(url: str) -> None:
    engine = create_ledger_engine(url)
    writer, reader = SqlLedgerWriter(engine), SqlLedgerReader(engine)
    for call in (
        writer.append([a_record()], arrived_at=NOON),
        writer.pairs(["s1"]),
        reader.submission("s1"),
        reader.shadow_report(ReportScope(), now=NOON),
        upgrade(url),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await engine.dispose()
    await sqlite_threads_end()


async def sqlite_threads_end() -> None:
    """The thread of a connection that failed to open is told to stop and not waited for: it would answer to a closed loop."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 10)


async def test_an_unavailable_ledger_never_says_what_was_to_be_stored(tmp_path: Path) -> None:
    engine = create_ledger_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(StoreUnavailable) as caught:
        await SqlLedgerWriter(engine).append([a_record(kwargs={"card": "4111-1111"})], arrived_at=NOON)
    await engine.dispose()
    assert "4111" not in str(caught.value)
