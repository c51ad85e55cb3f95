"""Columns both engines keep alike. JSON is text: PostgreSQL's jsonb refuses NUL escapes and both engines round large numbers."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from gateway.core.moment import as_utc

__all__ = ["BoundedInteger", "CleanText", "KeyText", "UtcTime", "column", "key_text", "metadata"]

_T = TypeVar("_T")
_KEY_LENGTH = 500
_LARGEST = 2**63 - 1
"""The largest number an integer column holds."""


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A moment, stored as UTC and read back with its zone. A time without one is taken as UTC."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = as_utc(value)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else as_utc(value)


class CleanText(sa.types.TypeDecorator[str]):
    """Text without NUL characters, which PostgreSQL cannot store: each becomes U+FFFD. No record may stop the ones behind it."""

    impl = sa.Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value.replace("\x00", "\ufffd") if value is not None and "\x00" in value else value


def key_text(value: str) -> str:
    """A key as it is stored."""
    return value[:_KEY_LENGTH].replace("\x00", "\ufffd")


class KeyText(CleanText):
    """Text in an index: cut at 500 characters, because PostgreSQL refuses index entries beyond 2,704 bytes."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else key_text(value)


class BoundedInteger(sa.types.TypeDecorator[int]):
    """A number of 64 bits; what lies beyond is stored as the nearest one."""

    impl = sa.BigInteger()
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return None if value is None else max(-_LARGEST, min(_LARGEST, value))


metadata = sa.MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"},
)


def column(name: str, kind: type[sa.types.TypeEngine[_T]], *, key: bool = False, null: bool = False) -> sa.Column[_T]:
    """A column that holds a value in every row, unless `null` says otherwise."""
    return sa.Column(name, kind, primary_key=key, nullable=null)
