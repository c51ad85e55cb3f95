"""Histograms in a column of text: `{"bucket": count}`. They are added to under the row's lock, within the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger import schema
from gateway.ledger.rows import Row
from gateway.ledger.statement import insert_new

__all__ = ["HistogramKey", "add_histograms", "histogram_from", "histogram_text"]

HistogramKey = tuple[object, ...]
"""The values of the table's primary key, in its order."""

_ROWS_AT_ONCE = 200
_decoder = msgspec.json.Decoder(dict[int, int])


def histogram_from(text: str) -> dict[int, int]:
    """Bucket to count."""
    return _decoder.decode(text)


def histogram_text(histogram: Mapping[int, int]) -> str:
    """What `histogram_from` reads."""
    return msgspec.json.encode(histogram).decode()


async def add_histograms(connection: AsyncConnection, table: sa.Table, added: Mapping[HistogramKey, Mapping[int, int]]) -> None:
    """Add to the histograms of a table. Rows are locked in the order of their keys: writers that overlap wait and never deadlock."""
    by_key: dict[HistogramKey, Counter[int]] = {}
    for key, histogram in added.items():
        # As it is stored: two keys that are cut to one are one.
        stored = tuple(schema.key_text(part) if isinstance(part, str) else part for part in key)
        by_key.setdefault(stored, Counter()).update(histogram)
    keys = sorted(by_key, key=lambda key: tuple(map(str, key)))
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        await _add_some(connection, table, {key: by_key[key] for key in keys[start : start + _ROWS_AT_ONCE]})


async def _add_some(connection: AsyncConnection, table: sa.Table, added: Mapping[HistogramKey, Counter[int]]) -> None:
    columns = list(table.primary_key)
    names = [column.name for column in columns]
    rows: list[Row] = [{**dict(zip(names, key, strict=True)), "histogram": "{}"} for key in added]
    await connection.execute(insert_new(connection.dialect.name, table), rows)
    locked = sa.select(table).where(sa.tuple_(*columns).in_(list(added))).order_by(*columns).with_for_update()
    changes = []
    for *key, text in await connection.execute(locked):
        total = Counter(histogram_from(text))
        total.update(added[tuple(key)])
        changes.append({**{f"of_{name}": part for name, part in zip(names, key, strict=True)}, "histogram": histogram_text(total)})
    same = [column == sa.bindparam(f"of_{column.name}", type_=column.type) for column in columns]
    await connection.execute(sa.update(table).where(*same), changes)
