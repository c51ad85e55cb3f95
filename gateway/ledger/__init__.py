"""The ledger: submissions, outcomes, comparisons and what is counted from them. SQL, and one in memory."""

from __future__ import annotations

from gateway.ledger.database import create_ledger_engine, sqlalchemy_url
from gateway.ledger.engine import open_engine
from gateway.ledger.flag_history import SqlFlagHistory
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.migrations import upgrade
from gateway.ledger.reader import SqlLedgerReader
from gateway.ledger.writer import SqlLedgerWriter

__all__ = [
    "MemoryLedger",
    "SqlFlagHistory",
    "SqlLedgerReader",
    "SqlLedgerWriter",
    "create_ledger_engine",
    "open_engine",
    "sqlalchemy_url",
    "upgrade",
]
