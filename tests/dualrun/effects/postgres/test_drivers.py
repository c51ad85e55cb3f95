"""The same rows are the same effects by whatever driver, pool or ORM they are written, and a shadow leaves none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa
from django.db import transaction
from psycopg_pool import ConnectionPool
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from dualrun.contracts import Role
from tests.dualrun.effects.django_orders import DjangoOrder, django_database
from tests.dualrun.effects.orders import Order, running
from tests.dualrun.effects.postgres.order_rows import rows

INSERT, UPDATE = "INSERT INTO orders (id, status) VALUES (%s, %s) RETURNING id", "UPDATE orders SET status = 'paid' WHERE id = 1"


def by_psycopg(url: str) -> None:
    with psycopg.connect(url) as connection:
        assert connection.execute(INSERT, (2, "new")).fetchone() == (2,)
        connection.commit()
        connection.execute(UPDATE)
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (2,)


def status_of(connection: psycopg.Connection) -> str:
    return connection.info.transaction_status.name


def by_psycopg_autocommit(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            assert status_of(connection) == "INTRANS"
            connection.execute(INSERT, (2, "new"))
            with contextlib.suppress(psycopg.errors.UniqueViolation), connection.transaction():
                connection.execute(INSERT, (2, "again"))
        assert status_of(connection) == "IDLE"
        with contextlib.suppress(psycopg.errors.UniqueViolation):
            connection.execute(INSERT, (1, "again"))
        assert connection.execute(UPDATE).rowcount == 1


def by_psycopg_pool(url: str) -> None:
    with ConnectionPool(url, min_size=1, max_size=1) as pool, pool.connection() as connection:
        connection.execute(INSERT, (2, "new"))
        connection.execute(UPDATE)


async def by_psycopg_async(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection, connection.cursor() as cursor:
        await cursor.execute(INSERT, (2, "new"))
        assert await cursor.fetchone() == (2,)
        await cursor.executemany("UPDATE orders SET status = %s WHERE id = %s", [("paid", 1)])


def by_psycopg2(url: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(INSERT, (2, "new"))
            assert cursor.fetchone() == (2,)
        with connection, connection.cursor() as cursor:
            cursor.execute(UPDATE)
            cursor.execute("SELECT count(*) FROM orders")
            assert cursor.fetchone() == (2,)


def by_psycopg2_autocommit(url: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(INSERT, (2, "new"))
            with contextlib.suppress(psycopg2.errors.UniqueViolation):
                cursor.execute(INSERT, (1, "again"))
            cursor.execute("BEGIN")
            cursor.execute("SAVEPOINT one")
            with contextlib.suppress(psycopg2.errors.UniqueViolation):
                cursor.execute(INSERT, (1, "again"))
            cursor.execute("ROLLBACK TO one")
            cursor.execute(UPDATE)
            cursor.execute("COMMIT")


async def by_asyncpg(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("INSERT INTO orders (id, status) VALUES ($1, $2) RETURNING id", 2, "new") == 2
        with contextlib.suppress(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO orders (id, status) VALUES (1, 'again')")
        async with connection.transaction():
            assert connection.is_in_transaction()
            with contextlib.suppress(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute("INSERT INTO orders (id, status) VALUES (1, 'again')")
            assert await connection.execute(UPDATE) == "UPDATE 1"
        assert not connection.is_in_transaction()
    finally:
        await connection.close()


async def by_asyncpg_pool(url: str) -> None:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        await pool.execute("INSERT INTO orders (id, status) VALUES ($1, $2)", 2, "new")
        assert await pool.fetchval("SELECT count(*) FROM orders") == 2
        await pool.executemany("UPDATE orders SET status = $1 WHERE id = $2", [("paid", 1)])


def _by_orm(driver: str) -> Callable[[str], None]:
    def by_orm(url: str) -> None:
        engine = sa.create_engine(urlsplit(url)._replace(scheme=f"postgresql+{driver}").geturl())
        with Session(engine) as session:
            session.add(Order(id=2, status="new"))
            session.commit()
        with Session(engine) as session, session.begin():
            session.get_one(Order, 1).status = "paid"
            with contextlib.suppress(ZeroDivisionError), session.begin_nested():
                session.get_one(Order, 2).status = "lost"
                session.flush()
                raise ZeroDivisionError
        engine.dispose()

    by_orm.__name__ = f"by_sqlalchemy_{driver}"
    return by_orm


async def by_sqlalchemy_asyncpg(url: str) -> None:
    engine = create_async_engine(urlsplit(url)._replace(scheme="postgresql+asyncpg").geturl())
    async with AsyncSession(engine) as session:
        session.add(Order(id=2, status="new"))
        await session.commit()
        (await session.get_one(Order, 1)).status = "paid"
        await session.commit()
    await engine.dispose()


def by_django(url: str) -> None:
    parts = urlsplit(url)
    engine = "django.db.backends.postgresql"
    user = {"USER": parts.username, "PASSWORD": parts.password}
    done: list[str] = []
    with django_database(ENGINE=engine, NAME=parts.path[1:], HOST=parts.hostname, PORT=parts.port, **user):
        DjangoOrder.objects.create(id=2, status="new")
        with transaction.atomic():
            transaction.on_commit(lambda: done.append("committed"))
            order = DjangoOrder.objects.select_for_update().get(id=1)
            order.save()
            order.status = "paid"
            order.save()
            with contextlib.suppress(ZeroDivisionError), transaction.atomic():
                transaction.on_commit(lambda: done.append("never"))
                DjangoOrder.objects.all().delete()
                raise ZeroDivisionError
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            DjangoOrder.objects.all().delete()
            raise ZeroDivisionError
        assert done == ["committed"]


SYNC: list[Callable[[str], None]] = [
    by_psycopg,
    by_psycopg_autocommit,
    by_psycopg_pool,
    by_psycopg2,
    by_psycopg2_autocommit,
    _by_orm("psycopg"),
    _by_orm("psycopg2"),
    by_django,
]


ASYNC: list[Callable[[str], Coroutine[Any, Any, None]]] = [by_psycopg_async, by_asyncpg, by_asyncpg_pool, by_sqlalchemy_asyncpg]


def blocking(way: Callable[[str], Coroutine[Any, Any, None]]) -> Callable[[str], None]:
    def run(url: str) -> None:
        asyncio.run(way(url))

    run.__name__ = way.__name__
    return run


@pytest.mark.services
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("way", [*SYNC, *map(blocking, ASYNC)], ids=lambda way: way.__name__)
def test_the_same_rows_are_the_same_effects_and_a_shadow_leaves_none(way: Callable[[str], None], role: Role, url: str) -> None:
    with running(role) as run:
        way(url)
    assert [(effect.kind, effect.key, effect.payload) for effect in run.effects] == [
        ("sql", "INSERT orders id=2", {"set": {"id": 2, "status": "new"}}),
        ("sql", "UPDATE orders id=1", {"set": {"status": "paid"}}),
    ]
    assert {effect.performed for effect in run.effects} == {role is Role.AUTHORITY}
    assert rows(url) == ([(1, "paid"), (2, "new")] if role is Role.AUTHORITY else [(1, "new")])
