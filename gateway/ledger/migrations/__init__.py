"""Brings a ledger's database to the present schema."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gateway.ledger.database import create_ledger_engine, writing

__all__ = ["migration_config", "upgrade"]

_LOCK = 0x6475616C  # any number, the same in every process: "dual"


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to date, or up to a revision; does nothing where it is. Processes that start together wait for one another.

    One transaction holds the lock (SQLite's write lock, an advisory lock on PostgreSQL) and all changes: either all are made or none.
    Raises `StoreUnavailable`, and `ConfigurationError` for a URL that names no ledger.
    """
    engine = create_ledger_engine(url, pool_size=1)
    try:
        async with writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            await connection.run_sync(_to, revision)
    finally:
        await engine.dispose()


def migration_config(connection: sa.Connection) -> Config:
    """Alembic's configuration for migrations on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def _to(connection: sa.Connection, revision: str) -> None:
    command.upgrade(migration_config(connection), revision)
