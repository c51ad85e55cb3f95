"""What a shadow writes leaves nothing in the database, and what would is refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import asyncpg
import msgspec
import psycopg
import psycopg2
import pytest

from dualrun.contracts import Role
from dualrun.errors import ShadowRefused
from gateway.comparison import compare_outcomes
from gateway.core.comparison import Verdict
from tests.dualrun.effects.orders import running
from tests.dualrun.effects.postgres.order_rows import rows
from tests.support.comparing import an_outcome


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
        "DO $$ BEGIN PERFORM setval('orders_id_seq', 99); END $$",
        "DO $$ BEGIN EXECUTE 'SELECT set' || 'val(''orders_id_seq'', 99)'; END $$",
        'SELECT 1 + pg_catalog."pg_try_advisory_lock"(1)::int',
        "SELECT U&\"set\\0076al\"('orders_id_seq', 99)",
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


def _psycopg(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(WAITING)


def _psycopg2(url: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(WAITING)


def _asyncpg(url: str) -> None:
    async def update() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(WAITING)
        finally:
            await connection.close()

    asyncio.run(update())


WAITING = "UPDATE orders SET status = 'shadow' WHERE id = 1"


@pytest.mark.services
@pytest.mark.parametrize("driver", [_psycopg, _psycopg2, _asyncpg], ids=lambda driver: driver.__name__)
def test_a_shadow_gives_way_to_whoever_holds_the_row_and_is_not_held_to_its_failure(driver: Callable[[str], None], url: str) -> None:
    with psycopg.connect(url) as authority:
        authority.execute("UPDATE orders SET status = 'real' WHERE id = 1")
        refused = (psycopg.errors.LockNotAvailable, psycopg2.errors.LockNotAvailable, asyncpg.LockNotAvailableError)
        with running(Role.SHADOW) as run, pytest.raises(refused):
            driver(url)
    assert rows(url) == [(1, "real")]
    ended = msgspec.structs.replace(an_outcome(Role.SHADOW, error="LockNotAvailable"), calls_unanswered=run.calls_unanswered)
    assert compare_outcomes(an_outcome(Role.AUTHORITY), ended)[0] is Verdict.INCOMPLETE


@pytest.mark.services
def test_a_shadow_is_held_to_a_failure_of_its_own(url: str) -> None:
    with running(Role.SHADOW) as run, psycopg.connect(url) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO orders VALUES (1, 'again')")
    assert run.calls_unanswered == 0
