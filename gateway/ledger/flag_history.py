"""Every version of the flags there has been, for people and audits. Routing never reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.core.flags import Flag, FlagSnapshot
from gateway.ledger import schema
from gateway.ledger.database import reading, writing
from gateway.ledger.statement import insert_new

__all__ = ["SqlFlagHistory"]

_decoder = msgspec.json.Decoder(dict[str, Flag])


class SqlFlagHistory:
    """Versions are appended once and never changed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def append(self, snapshot: FlagSnapshot) -> None:
        """Put a version on record; one that is there already stays as it is. Raises `StoreUnavailable`."""
        row = {
            "version": snapshot.version,
            "changed_at": snapshot.changed_at,
            "author": snapshot.author,
            "reason": snapshot.reason,
            "source": snapshot.source,
            "flags": msgspec.json.encode(snapshot.flags).decode(),
        }
        async with writing(self._engine) as connection:
            await connection.execute(insert_new(self._engine.dialect.name, schema.flag_versions), [row])

    async def versions(self, *, before: int | None = None, limit: int = 50) -> Sequence[FlagSnapshot]:
        """The latest versions below `before`, newest first. Raises `StoreUnavailable`."""
        table = schema.flag_versions
        query = sa.select(table).order_by(table.c.version.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.version < before)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return [
            FlagSnapshot(version=version, flags=_flags(flags), changed_at=changed_at, author=author, reason=reason, source=source)
            for version, changed_at, author, reason, source, flags in rows
        ]


def _flags(text: str) -> Mapping[str, Flag]:
    return _decoder.decode(text)
