"""The ledger: submissions, outcomes, comparisons and what is counted from them. SQL, and one in memory."""

from __future__ import annotations

from gateway.ledger.audit import MemoryAudit, SqlAudit
from gateway.ledger.browser import SqlLedgerBrowser
from gateway.ledger.database import create_ledger_engine, sqlalchemy_url
from gateway.ledger.engine import open_engine
from gateway.ledger.gate_ledger import SqlGateLedger
from gateway.ledger.judgements import SqlJudgements
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.migrations import upgrade
from gateway.ledger.reader import SqlLedgerReader
from gateway.ledger.retention import SqlRetention
from gateway.ledger.triage import SqlTriage
from gateway.ledger.writer import SqlLedgerWriter

__all__ = [
    "MemoryAudit",
    "MemoryLedger",
    "SqlAudit",
    "SqlGateLedger",
    "SqlJudgements",
    "SqlLedgerBrowser",
    "SqlLedgerReader",
    "SqlLedgerWriter",
    "SqlRetention",
    "SqlTriage",
    "create_ledger_engine",
    "open_engine",
    "sqlalchemy_url",
    "upgrade",
]
