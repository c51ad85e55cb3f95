"""The upserts both engines share: their dialects spell them alike, but in two modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement

__all__ = ["Insert", "insert_new", "insert_or_add", "insert_or_follow", "insert_or_replace", "upsert"]

Insert: TypeAlias = "postgresql.Insert | sqlite.Insert"
_Columns: TypeAlias = "ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]"


def insert_new(dialect: str, table: sa.Table) -> Insert:
    """Insert rows; those whose key is taken change nothing."""
    return _insert(dialect, table).on_conflict_do_nothing(index_elements=list(table.primary_key))


def upsert(dialect: str, table: sa.Table, update: Callable[[_Columns], Mapping[str, sa.ColumnElement[Any]]]) -> Insert:
    """Insert rows; where the key is taken, set what `update` says, given the columns of the row that would have been inserted."""
    statement = _insert(dialect, table)
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=dict(update(statement.excluded)))


def insert_or_follow(dialect: str, table: sa.Table, number: str) -> Insert:
    """Insert rows; where the key is taken, the new row stands if its number is the higher one."""
    statement = _insert(dialect, table)
    new = statement.excluded
    values = {column.name: new[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values, where=table.c[number] < new[number])


def insert_or_add(dialect: str, table: sa.Table) -> Insert:
    """Insert rows; where the key is taken, add what the new row counts to what the old one does."""
    return upsert(dialect, table, lambda new: {column.name: column + new[column.name] for column in table.c if not column.primary_key})


def insert_or_replace(dialect: str, table: sa.Table) -> Insert:
    """Insert rows; where the key is taken, the new row stands."""
    return upsert(dialect, table, lambda new: {column.name: new[column.name] for column in table.c if not column.primary_key})


def _insert(dialect: str, table: sa.Table) -> Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
