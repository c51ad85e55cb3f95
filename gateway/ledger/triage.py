"""What people say of difference groups, on SQL."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.core.triage import TriageNote
from gateway.ledger import schema
from gateway.ledger.database import writing

__all__ = ["SqlTriage"]


class SqlTriage:
    """Implements `TriageLedger`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def triage(self, fingerprint: str, note: TriageNote) -> bool:
        table = schema.difference_groups
        said = {"triage": str(note.state), "triaged_at": note.said_at, "triaged_by": note.author, "triage_note": note.note}
        async with writing(self._engine) as connection:
            result = await connection.execute(sa.update(table).where(table.c.fingerprint == fingerprint).values(said))
        return bool(result.rowcount)
