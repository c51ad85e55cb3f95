"""What a database checks at the end of a transaction is checked when a shadow commits, though nothing of it is committed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import asyncpg
import psycopg
import psycopg2
import pytest

from dualrun.contracts import Role
from tests.dualrun.effects.orders import running

pytestmark = pytest.mark.services

ADD, COMPLETE = "INSERT INTO lines (order_id) VALUES (%s)", "INSERT INTO orders (id, status) VALUES (%s, 'late')"


@pytest.fixture(autouse=True)
def _lines(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS lines")
        connection.execute("CREATE TABLE lines (id serial, order_id int REFERENCES orders ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)")


@pytest.fixture
def url(database: str) -> str:
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE IF EXISTS lines")
        connection.execute("DELETE FROM orders")
    return database


def by_psycopg(url: str, *orders: int) -> None:
    with psycopg.connect(url) as connection:
        for order in orders:
            connection.execute(ADD, (order,))
            if order > 0:
                connection.execute(COMPLETE, (order,))
            connection.commit()


def by_psycopg2(url: str, *orders: int) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        for order in orders:
            cursor.execute(ADD, (order,))
            if order > 0:
                cursor.execute(COMPLETE, (order,))
            connection.commit()


def by_asyncpg(url: str, *orders: int) -> None:
    async def insert() -> None:
        connection = await asyncpg.connect(url)
        try:
            for order in orders:
                async with connection.transaction():
                    await connection.execute(ADD.replace("%s", "$1"), order)
                    if order > 0:
                        await connection.execute(COMPLETE.replace("%s", "$1"), order)
        finally:
            await connection.close()

    asyncio.run(insert())


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("way", [by_psycopg, by_psycopg2, by_asyncpg], ids=lambda way: way.__name__)
def test_a_commit_is_refused_where_a_deferred_constraint_is_broken_and_stands_where_not(
    way: Callable[..., None], role: Role, url: str
) -> None:
    """Twice in a row: the constraint is deferred again after a commit."""
    with running(role) as run, pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg2.Error, asyncpg.PostgresError)):
        way(url, 2, 3, -1)
    keys = ["INSERT lines", "INSERT orders id=2", "INSERT lines", "INSERT orders id=3"]
    assert [effect.key for effect in run.effects] == keys
    with psycopg.connect(url) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM lines").fetchall()
    assert count == (2 if role is Role.AUTHORITY else 0)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("driver", [psycopg, psycopg2], ids=lambda driver: driver.__name__)
def test_what_a_refused_commit_lost_is_no_effect_of_the_next_one(role: Role, driver: object, url: str) -> None:
    connect: Callable[[str], psycopg.Connection] = driver.connect  # type: ignore[attr-defined]  # both have it
    with running(role) as run, contextlib.closing(connect(url)) as connection, contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("INSERT INTO lines (order_id) VALUES (-1)")
        with pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg2.Error)):
            connection.commit()
        cursor.execute("INSERT INTO orders (id, status) VALUES (5, 'kept')")
        connection.commit()
    assert [effect.key for effect in run.effects] == ["INSERT orders id=5"]
