"""SQLite: writes become effects when they are committed, and those of a shadow leave nothing in the database."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from dualrun.contracts import Role
from dualrun.errors import ShadowRefused
from tests.dualrun.effects.orders import Order, running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT NOT NULL, note TEXT)")
        connection.execute("INSERT INTO orders VALUES (1, 'new', NULL)")
        connection.commit()
    return path


def rows(file: Path) -> list[tuple[int, str]]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return list(connection.execute("SELECT id, status FROM orders ORDER BY id"))


def plain(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO orders (id, status) VALUES (?, ?)", (2, "new"))
        connection.execute("UPDATE orders SET status = 'paid' WHERE id = 1")
        connection.commit()
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (2,)


def autocommit(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO orders (id, status) VALUES (2, 'new')")
        connection.execute("COMMIT")
        connection.execute("UPDATE orders SET status = 'paid' WHERE id = 1")
        assert connection.execute("SELECT status FROM orders WHERE id = 1").fetchone() == ("paid",)


def savepoint(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("SAVEPOINT outer")
        connection.execute("INSERT INTO orders (id, status) VALUES (2, 'new')")
        connection.execute("SAVEPOINT inner")
        connection.execute("UPDATE orders SET status = 'paid' WHERE id = 1")
        connection.execute("RELEASE inner")
        connection.execute("RELEASE outer")


def script(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript("INSERT INTO orders (id, status) VALUES (2, 'new'); UPDATE orders SET status = 'paid' WHERE id = 1;")


def orm(file: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    with Session(engine) as session:
        session.add(Order(id=2, status="new"))
        session.flush()
        order = session.get_one(Order, 1)
        order.status = "paid"
        session.commit()
        assert order.status == "paid"
    engine.dispose()


WAYS: list[Callable[[Path], None]] = [plain, autocommit, savepoint, script, orm]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("way", WAYS)
def test_the_same_rows_are_the_same_effects_and_a_shadow_leaves_none(way: Callable[[Path], None], role: Role, file: Path) -> None:
    with running(role) as run:
        way(file)
    assert [(effect.kind, effect.key, effect.payload) for effect in run.effects] == [
        ("sql", "INSERT orders id=2", {"set": {"id": 2, "status": "new"}}),
        ("sql", "UPDATE orders id=1", {"set": {"status": "paid"}}),
    ]
    assert {effect.performed for effect in run.effects} == {role is Role.AUTHORITY}
    assert rows(file) == ([(1, "paid"), (2, "new")] if role is Role.AUTHORITY else [(1, "new")])


@pytest.mark.parametrize("role", list(Role))
def test_what_is_rolled_back_is_no_effect(role: Role, file: Path) -> None:
    with running(role) as run, contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE orders SET status = 'kept' WHERE id = 1")
        connection.commit()
        connection.execute("UPDATE orders SET status = 'lost' WHERE id = 1")
        connection.execute("SAVEPOINT inner")
        connection.execute("DELETE FROM orders")
        connection.execute("ROLLBACK TO inner")
        connection.rollback()
        assert connection.execute("SELECT status FROM orders").fetchall() == [("kept",)]
        with contextlib.suppress(ZeroDivisionError), connection:
            connection.execute("DELETE FROM orders")
            raise ZeroDivisionError
        connection.execute("DELETE FROM orders WHERE id = 9")
    assert [effect.key for effect in run.effects] == ["UPDATE orders id=1"]
    assert rows(file) == [(1, "kept" if role is Role.AUTHORITY else "new")]


def test_a_connection_kept_open_is_clean_when_the_shadow_has_ended(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        with running(Role.SHADOW):
            connection.execute("DELETE FROM orders")
            connection.commit()
            connection.isolation_level = None
        assert not connection.in_transaction
        assert connection.isolation_level is None
        connection.execute("UPDATE orders SET status = 'real' WHERE id = 1")
    assert rows(file) == [(1, "real")]


PRAGMAS = ["user_version = 42", "user_version(42)", "main.application_id(9)", "/* a */ user_version /* b */ (7)", "auto_vacuum('full')"]


@pytest.mark.parametrize("pragma", PRAGMAS)
def test_a_setting_of_the_file_is_answered_and_not_set(pragma: str, file: Path) -> None:
    with running(Role.SHADOW), contextlib.closing(sqlite3.connect(file)) as connection:
        (answer,) = connection.execute(f"PRAGMA {pragma}").fetchone()
        assert answer == 0
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert [connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id", "auto_vacuum")] == [(0,)] * 3


def test_the_journal_of_the_file_stays_what_it_was(file: Path) -> None:
    with running(Role.SHADOW), contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode(WAL)")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize("role", list(Role))
def test_what_only_looks_and_what_is_the_connections_own_works_as_ever(role: Role, file: Path) -> None:
    with running(role), contextlib.closing(sqlite3.connect(file)) as connection:
        assert [row[1] for row in connection.execute("PRAGMA table_info('orders')")] == ["id", "status", "note"]
        assert connection.execute("PRAGMA foreign_key_check(orders)").fetchall() == []
        connection.execute("PRAGMA cache_size(-4000)")
        assert connection.execute("PRAGMA cache_size").fetchone() == (-4000,)


@pytest.mark.parametrize("fetches", ["at once", "late"])
@pytest.mark.parametrize("role", list(Role))
def test_rows_a_write_returns_can_be_fetched_outside_of_transactions_too(role: Role, fetches: str, file: Path) -> None:
    with running(role) as run, contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        first = connection.execute("INSERT INTO orders (id, status) VALUES (2, 'a'), (3, 'b') RETURNING id")
        fetched = first.fetchall() if fetches == "at once" else [first.fetchone()]
        connection.execute("UPDATE orders SET status = 'c' WHERE id = 2")
        fetched += first.fetchall()
        with contextlib.suppress(sqlite3.IntegrityError):
            connection.execute("INSERT INTO orders (id, status) VALUES (2, 'twice')")
        connection.execute("BEGIN")
        connection.execute("DELETE FROM orders")
        connection.execute("ROLLBACK")
        left = connection.execute("SELECT id, status FROM orders ORDER BY id").fetchall()
    assert fetched == [(2,), (3,)]
    assert left == [(1, "new"), (2, "c"), (3, "b")]
    assert rows(file) == (left if role is Role.AUTHORITY else [(1, "new")])
    assert [effect.key for effect in run.effects] == ["INSERT orders id=2", "INSERT orders id=3", "UPDATE orders id=2"]


@pytest.mark.parametrize("sql", ["ATTACH ':memory:' AS other", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA incremental_vacuum"])
def test_what_cannot_be_rolled_back_is_refused(sql: str, file: Path) -> None:
    with running(Role.SHADOW), contextlib.closing(sqlite3.connect(file)) as connection, pytest.raises(ShadowRefused, match="rolled back"):
        connection.execute(sql)


def test_a_transaction_begun_outside_is_not_the_shadows_to_end(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE orders SET status = 'mine' WHERE id = 1")
        with running(Role.SHADOW):
            with pytest.raises(ShadowRefused, match="begun outside"):
                connection.execute("DELETE FROM orders")
            connection.commit()
        assert rows(file) == [(1, "new")]
        connection.commit()
    assert rows(file) == [(1, "mine")]


@pytest.mark.parametrize("role", list(Role))
async def test_an_async_pool_is_clean_when_the_shadow_has_ended(role: Role, file: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    async with AsyncSession(engine) as session:
        assert await session.get_one(Order, 1)
    with running(role) as run:
        async with AsyncSession(engine) as session:
            session.add(Order(id=2, status="new"))
            await session.commit()
    assert [effect.key for effect in run.effects] == ["INSERT orders id=2"]
    async with AsyncSession(engine) as session:
        session.add(Order(id=3, status="real"))
        await session.commit()
    await engine.dispose()
    assert [number for number, _ in rows(file)] == ([1, 2, 3] if role is Role.AUTHORITY else [1, 3])


def test_a_shadow_that_waits_in_vain_for_a_lock_says_so(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as authority:
        authority.execute("UPDATE orders SET status = 'real'")
        shadowing = contextlib.closing(sqlite3.connect(file, timeout=0.05))
        with running() as run, shadowing as shadow, pytest.raises(sqlite3.OperationalError, match="locked"):
            shadow.execute("UPDATE orders SET status = 'shadow'")
        authority.commit()
    assert run.calls_unanswered == 1
    assert rows(file) == [(1, "real")]
