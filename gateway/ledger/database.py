"""Connections to the ledger's database: SQLite or PostgreSQL, both asynchronous."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from dualrun.errors import ConfigurationError
from gateway.core.errors import StoreUnavailable

__all__ = ["create_ledger_engine", "reading", "sqlalchemy_url", "writing"]

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_BUSY_TIMEOUT_MS = 10_000
_CONNECT_TIMEOUT_S = 5
_CACHE_KIB = 16_384
"""Of each connection: what a report reads again and again fits in, with the counters of hundreds of tasks."""
_WRITES = {"dualrun_writes": True}


def sqlalchemy_url(url: str) -> sa.URL:
    """The URL SQLAlchemy takes for `sqlite:///path` or `postgresql://user@host/name`.

    Raises `ConfigurationError` for any other database, and for SQLite in memory, where every connection would see a ledger of its own.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as exc:
        raise ConfigurationError("the ledger's URL is not one: should be sqlite:///path or postgresql://user@host/name") from exc
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise ConfigurationError(f"the ledger cannot be kept in {parsed.drivername!r}: should be sqlite:///path or postgresql://...")
    if driver == "sqlite+aiosqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("the ledger needs a SQLite file: sqlite:///path (relative) or sqlite:////path (absolute)")
    return parsed.set(drivername=driver)


def create_ledger_engine(url: str, *, pool_size: int = 5) -> AsyncEngine:
    """An engine for the ledger; connects when first used. Raises `ConfigurationError` as `sqlalchemy_url`."""
    parsed = sqlalchemy_url(url)
    if parsed.drivername == "sqlite+aiosqlite":
        engine = create_async_engine(parsed, pool_size=pool_size, connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000})
        sa.event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        sa.event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    # pre_ping: a connection that died with the server is replaced, not handed out.
    return create_async_engine(parsed, pool_size=pool_size, pool_pre_ping=True, connect_args={"timeout": _CONNECT_TIMEOUT_S})


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that writes: committed at the end, rolled back by an error. Raises `StoreUnavailable`."""
    with _unavailable():
        async with engine.execution_options(**_WRITES).begin() as connection:
            yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that reads. Raises `StoreUnavailable`."""
    with _unavailable():
        async with engine.begin() as connection:
            yield connection


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError, TimeoutError) as exc:
        # The statement's parameters hold payloads; only the driver's own words go on.
        reason = exc.orig if isinstance(exc, sa.exc.DBAPIError) else exc
        raise StoreUnavailable(f"ledger out of reach: {type(reason).__name__}: {reason}") from exc


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # sqlite3 would begin transactions by itself, deferred; `_begin_sqlite` does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    pragmas = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", f"cache_size = -{_CACHE_KIB}")
    for pragma in (f"busy_timeout = {_BUSY_TIMEOUT_MS}", *pragmas):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails at once when another has written meanwhile: who will write says so first.
    writes = connection.get_execution_options().get("dualrun_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
