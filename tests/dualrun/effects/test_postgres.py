"""PostgreSQL: the same rows are the same effects whoever writes them, and those of a shadow leave nothing in the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import django.db
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa
from django.conf import settings
from django.db import models, transaction
from psycopg2.extras import RealDictCursor
from psycopg_pool import ConnectionPool
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from dualrun.contracts import Role
from dualrun.errors import ShadowRefused
from tests.dualrun.effects.orders import Order, running

if not settings.configured:
    settings.configure(DATABASES={}, USE_TZ=True, INSTALLED_APPS=[])
    django.setup()


class DjangoOrder(models.Model):
    id = models.IntegerField(primary_key=True)
    status = models.TextField()
    note = models.TextField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "orders"
        managed = False


@pytest.fixture(scope="module")
def database(postgres_url: str) -> str:
    """A plain URL of a database with one table."""
    url = urlsplit(postgres_url)._replace(scheme="postgresql").geturl()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE orders (id SERIAL PRIMARY KEY, status TEXT NOT NULL, note TEXT)")
    return url


@pytest.fixture
def url(database: str) -> str:
    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE orders")
        connection.execute("INSERT INTO orders VALUES (1, 'new', NULL)")
    return database


def rows(url: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as connection:
        return list(connection.execute("SELECT id, status FROM orders ORDER BY id"))


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
    django.db.connections.databases["default"] = django.db.connections.configure_settings(
        {
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path[1:],
                "USER": parts.username,
                "PASSWORD": parts.password,
                "HOST": parts.hostname,
                "PORT": parts.port,
            }
        }
    )["default"]
    done: list[str] = []
    try:
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
    finally:
        django.db.connections["default"].close()
        del django.db.connections["default"]


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


@pytest.mark.services
def test_a_connection_kept_open_is_clean_when_the_shadow_has_ended(url: str) -> None:
    with psycopg.connect(url) as newer, contextlib.closing(psycopg2.connect(url)) as older:
        older.autocommit = True
        with running(Role.SHADOW):
            newer.execute("DELETE FROM orders")
            newer.commit()
            with older.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM orders")
            older.autocommit = False
        assert newer.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert older.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        assert not older.autocommit
        newer.execute("UPDATE orders SET status = 'real'")
    assert rows(url) == [(1, "real")]


@pytest.mark.services
async def test_an_async_pool_is_clean_when_the_shadow_has_finished(url: str) -> None:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        connection = await psycopg.AsyncConnection.connect(url)
        with running(Role.SHADOW) as run:
            await pool.execute("DELETE FROM orders")
            await connection.execute("SELECT 1")
            await run.finish()
        assert connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
        await pool.execute("UPDATE orders SET status = 'real'")
        await connection.close()
    assert rows(url) == [(1, "real")]


@pytest.mark.services
async def test_whoever_comes_next_gets_nothing_of_a_shadow_that_did_not_end_itself(url: str) -> None:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        with running(Role.SHADOW):
            await pool.execute("UPDATE orders SET status = 'lost'")
        with running(Role.AUTHORITY) as run:
            await pool.execute("INSERT INTO orders VALUES (2, 'real')")
    assert [effect.key for effect in run.effects] == ["INSERT orders"]
    assert rows(url) == [(1, "new"), (2, "real")]


@pytest.mark.services
def test_a_transaction_begun_outside_is_not_the_shadows_to_end(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE orders SET status = 'mine'")
        with running(Role.SHADOW):
            with pytest.raises(ShadowRefused, match="begun outside"):
                connection.execute("DELETE FROM orders")
            connection.commit()
        assert rows(url) == [(1, "new")]
    assert rows(url) == [(1, "mine")]


@pytest.mark.services
@pytest.mark.parametrize(
    "sql", ["PREPARE TRANSACTION 'x'", "DELETE FROM orders; COMMIT", "COPY orders TO PROGRAM 'true'", "END; DELETE FROM orders"]
)
def test_what_cannot_be_rolled_back_is_refused(sql: str, url: str) -> None:
    with running(Role.SHADOW), psycopg.connect(url) as connection, pytest.raises(ShadowRefused, match="a shadow may not"):
        connection.execute(sql)
    assert rows(url) == [(1, "new")]


@pytest.mark.services
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT setval('orders_id_seq', 99)",
        'SELECT 1 + pg_catalog."pg_try_advisory_lock"(1)::int',
        "UPDATE orders SET status = pg_terminate_backend(0)::text",
        "WITH x AS (SELECT lo_export(1, '/tmp/x')) SELECT * FROM x",
        "SET standard_conforming_strings = off",
    ],
)
def test_what_reaches_past_a_transaction_is_refused(sql: str, url: str) -> None:
    with running(Role.SHADOW), psycopg.connect(url, autocommit=True) as connection, pytest.raises(ShadowRefused, match="a shadow may not"):
        connection.execute(sql)
    with running(Role.AUTHORITY), psycopg.connect(url) as connection:
        connection.execute("SELECT pg_try_advisory_lock(1)")


@pytest.mark.services
@pytest.mark.parametrize("role", list(Role))
def test_what_happens_inside_the_database_is_rolled_back_as_well(role: Role, url: str) -> None:
    """Functions, server-side cursors, prepared statements, temporary tables, large objects and notices, on a connection opened before."""
    with psycopg.connect(url, autocommit=True) as before, psycopg.connect(url, autocommit=True) as outside:
        outside.execute("CREATE OR REPLACE FUNCTION pay() RETURNS int AS $$ UPDATE orders SET status = 'paid'; SELECT 1 $$ LANGUAGE sql")
        outside.execute("LISTEN paid")
        with running(role):
            before.execute("SELECT pay()")
            with before.transaction(), before.cursor("page") as page:
                page.execute("SELECT pay()")
                assert page.fetchall() == [(1,)]
            before.execute("PREPARE new AS INSERT INTO orders VALUES (2, 'new')")
            before.execute("EXECUTE new")
            before.execute("EXPLAIN ANALYZE INSERT INTO orders VALUES (3, 'new')")
            before.execute("CREATE TEMPORARY TABLE mine AS SELECT 1")
            before.execute("SELECT lo_create(0)")
            before.execute("SELECT pg_notify('paid', 'x')")
            before.execute("SET application_name = 'mine'")
            # A transaction of a procedure's own cannot be held.
            with contextlib.suppress(psycopg.errors.InvalidTransactionTermination):
                before.execute("DO $$ BEGIN UPDATE orders SET note = 'done'; COMMIT; END $$")
        real = role is Role.AUTHORITY
        assert rows(url) == ([(1, "paid"), (2, "new"), (3, "new")] if real else [(1, "new")])
        assert [notice.payload for notice in outside.notifies(timeout=0.05)] == (["x"] if real else [])
        assert before.execute("SELECT to_regclass('mine')").fetchone() == (("mine" if real else None),)
        assert outside.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (int(real),)
        assert (before.execute("SHOW application_name").fetchone() == ("mine",)) is real
        outside.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")


@pytest.mark.services
def test_many_rows_at_once_are_one_effect_each_by_every_driver(url: str) -> None:
    wanted = [(f"INSERT orders id={n}", {"set": {"id": n, "status": "new"}}) for n in (2, 3)]
    values = [{"id": n, "status": "new"} for n in (2, 3)]
    for driver in ("psycopg", "psycopg2"):
        engine = sa.create_engine(urlsplit(url)._replace(scheme=f"postgresql+{driver}").geturl())
        with running(Role.SHADOW) as run, Session(engine) as session:
            session.add_all([Order(**value) for value in values])
            session.commit()
        engine.dispose()
        assert [(effect.key, effect.payload) for effect in run.effects] == wanted
    with running(Role.SHADOW) as run, psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO orders (id, status) VALUES (%(id)s, %(status)s)", values)
        with cursor.copy("COPY orders (id, status) FROM STDIN") as copy:
            copy.write_row((4, "new"))
    assert [(effect.key, effect.payload) for effect in run.effects[:2]] == wanted
    assert rows(url) == [(1, "new")]


@pytest.mark.services
def test_a_shadow_gives_way_to_whoever_holds_the_row(url: str) -> None:
    with psycopg.connect(url) as authority:
        authority.execute("UPDATE orders SET status = 'real' WHERE id = 1")
        with running(Role.SHADOW), psycopg.connect(url) as connection, pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("UPDATE orders SET status = 'shadow' WHERE id = 1")
    assert rows(url) == [(1, "real")]


def _child_by_psycopg(url: str) -> None:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO parcels (order_id) VALUES (1) RETURNING id")
        (parcel,) = cursor.fetchone() or (0,)
        cursor.execute("INSERT INTO labels (parcel_id, text) VALUES (%s, 'x')", (parcel,))
        cursor.execute("UPDATE parcels SET sent = true WHERE id = %s", (parcel,))


def _child_by_psycopg2(url: str) -> None:
    with contextlib.closing(psycopg2.connect(url, cursor_factory=RealDictCursor)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO parcels (order_id) VALUES (1) RETURNING id")
        parcel = cursor.fetchone()["id"]
        cursor.execute("INSERT INTO labels (parcel_id, text) VALUES (%s, 'x')", (parcel,))
        cursor.execute("UPDATE parcels SET sent = true WHERE id = %s", (parcel,))


async def _child_by_asyncpg(url: str) -> None:
    connection = await asyncpg.connect(url)
    parcel = await connection.fetchval("INSERT INTO parcels (order_id) VALUES ($1) RETURNING id", 1)
    await connection.execute("INSERT INTO labels (parcel_id, text) VALUES ($1, 'x')", parcel)
    await connection.execute("UPDATE parcels SET sent = true WHERE id = $1", parcel)
    await connection.close()


@pytest.mark.services
def test_keys_the_database_gives_are_the_same_in_every_run(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS parcels (id SERIAL PRIMARY KEY, order_id INTEGER, sent BOOLEAN)")
        connection.execute("CREATE TABLE IF NOT EXISTS labels (id SERIAL PRIMARY KEY, parcel_id INTEGER, text TEXT)")
    for way in (_child_by_psycopg, _child_by_psycopg2, blocking(_child_by_asyncpg)):
        for role in Role:
            with running(role) as run:
                way(url)
            assert [(effect.key, effect.payload) for effect in run.effects] == [
                ("INSERT parcels", {"set": {"order_id": 1}}),
                ("INSERT labels", {"set": {"parcel_id": "parcels#1", "text": "x"}}),
                ("UPDATE parcels id=parcels#1", {"set": {"sent": True}}),
            ]
