"""What stands in the table of orders."""

from __future__ import annotations

import psycopg

__all__ = ["rows"]


def rows(url: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as connection:
        return list(connection.execute("SELECT id, status FROM orders ORDER BY id"))
