"""The audit log, on SQL and in memory."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.core.audit import AuditEntry, AuditPage, AuditQuery
from gateway.ledger import schema
from gateway.ledger.database import reading, writing
from gateway.ledger.statement import insert_new

__all__ = ["MemoryAudit", "SqlAudit"]

_MATCHED = ("actor", "action", "target")


class SqlAudit:
    """Implements `AuditLedger`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        rows = [msgspec.structs.asdict(entry) for entry in entries]
        async with writing(self._engine) as connection:
            await connection.execute(insert_new(connection.dialect.name, schema.audit), rows)

    async def page(self, query: AuditQuery) -> AuditPage:
        table = schema.audit
        wanted = [table.c[name] == value for name in _MATCHED if (value := getattr(query, name)) is not None]
        if query.before is not None:
            wanted.append(table.c.id < query.before)
        select = sa.select(table).where(*wanted).order_by(table.c.id.desc()).limit(query.limit + 1)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(select)).mappings().all()
        return _page([AuditEntry(**row) for row in rows], query.limit)


class MemoryAudit:
    """Implements `AuditLedger`."""

    def __init__(self) -> None:
        self._entries: dict[str, AuditEntry] = {}

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        for entry in entries:
            self._entries.setdefault(entry.id, entry)

    async def page(self, query: AuditQuery) -> AuditPage:
        found = [
            entry
            for entry in sorted(self._entries.values(), key=lambda entry: entry.id, reverse=True)
            if (query.before is None or entry.id < query.before)
            and all(getattr(query, name) in (None, getattr(entry, name)) for name in _MATCHED)
        ]
        return _page(found, query.limit)


def _page(entries: Sequence[AuditEntry], limit: int) -> AuditPage:
    return AuditPage(tuple(entries[:limit]), entries[limit - 1].id if len(entries) > limit else None)
