"""Rows created by ORMs and by hand on SQLite: their keys have names by which both sides know them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from django.db import models, transaction
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from dualrun.contracts import Role
from gateway.core.comparison import Verdict
from tests.dualrun.effects.django_orders import django_database
from tests.dualrun.effects.orders import compared_runs, running

AFTER = (Verdict.EQUAL_AFTER_NORMALISE, ())


class Purchase(models.Model):
    status = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "purchases"
        managed = False


class Line(models.Model):
    buyer = models.ForeignKey(Purchase, models.CASCADE)

    class Meta:
        app_label = "shop"
        db_table = "lines"
        managed = False


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "purchases"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "shop.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE purchases (id INTEGER PRIMARY KEY, status TEXT)")
        connection.execute("CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE TABLE lines (id INTEGER PRIMARY KEY, purchase_id INT, company_id INT, buyer_id INT, seller INT)")
        connection.execute("INSERT INTO purchases VALUES (40, 'old')")
        connection.execute("INSERT INTO companies VALUES (90, 'old')")
        connection.commit()
    with django_database(ENGINE="django.db.backends.sqlite3", NAME=str(path)):
        yield path


def _line(file: Path, **columns: int) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        sql = f"INSERT INTO lines ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        connection.execute(sql, list(columns.values()))
        connection.commit()


def by_django(_: Path) -> list[int]:
    return [Purchase.objects.create(status="new").pk for _ in range(2)]


def by_django_in_a_transaction(_: Path) -> list[int]:
    with transaction.atomic():
        return [Purchase.objects.create(status="new").pk for _ in range(2)]


def by_sqlalchemy(file: Path) -> list[int]:
    engine = sa.create_engine(f"sqlite:///{file}")
    with Session(engine) as session:
        rows = [Row(status="new") for _ in range(2)]
        session.add_all(rows)
        session.flush()
        keys = [row.id for row in rows]
        session.commit()
    engine.dispose()
    return keys


def by_hand(file: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        keys = [key for (key,) in connection.execute("INSERT INTO purchases (status) VALUES ('new'), ('new') RETURNING id")]
        connection.commit()
    return keys


WAYS = [by_django, by_django_in_a_transaction, by_sqlalchemy, by_hand]


@pytest.mark.parametrize("create", WAYS, ids=lambda way: way.__name__)
def test_new_rows_have_names_by_whatever_they_are_created(create: Callable[[Path], list[int]], file: Path) -> None:
    with running(Role.AUTHORITY) as run:
        keys = create(file)
        for key in keys:
            _line(file, purchase_id=key)
    assert [(one.name, one.value) for one in run.generated_keys[:2]] == [("purchases#1", str(keys[0])), ("purchases#2", str(keys[1]))]
    assert [effect.payload for effect in run.effects[-2:]] == [
        {"set": {"purchase_id": "purchases#1"}},
        {"set": {"purchase_id": "purchases#2"}},
    ]


@pytest.mark.usefixtures("file")
def test_a_django_task_does_the_same_from_other_keys() -> None:
    def work() -> int:
        purchases = [Purchase.objects.create(status="new") for _ in range(2)]
        Line.objects.create(buyer=purchases[0])
        Line.objects.filter(buyer__in=purchases).delete()
        Purchase.objects.filter(pk__gte=purchases[1].pk).update(status="paid")
        return int(purchases[0].pk)

    assert compared_runs(work) == AFTER


@pytest.mark.parametrize("create", [by_sqlalchemy, by_hand], ids=lambda way: way.__name__)
def test_a_shadow_that_starts_from_other_keys_did_the_same(create: Callable[[Path], list[int]], file: Path) -> None:
    """What is written to columns of any name, and conditions of any shape."""

    def work() -> list[int]:
        first, second = create(file)
        _line(file, buyer_id=first, company_id=second)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE lines SET buyer_id = 1 WHERE purchase_id IN (?, ?)", (first, second))
            connection.execute("UPDATE lines SET buyer_id = 2 WHERE purchase_id >= ?", (second,))
            connection.execute("DELETE FROM lines WHERE seller = ?", (first,))
            connection.commit()
        return [first, second]

    assert compared_runs(work) == AFTER


def test_a_column_is_named_after_its_table_and_no_other(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, running(Role.AUTHORITY) as run:
        cursor = connection.execute("INSERT INTO companies (name) VALUES ('x')")
        for column in ("company_id", "purchase_id"):
            connection.execute(f"INSERT INTO lines ({column}) VALUES (?)", (cursor.lastrowid,))
        connection.commit()
    assert [effect.payload for effect in run.effects[1:]] == [{"set": {"company_id": "companies#1"}}, {"set": {"purchase_id": 91}}]


@pytest.mark.parametrize("savepoint", [True, False])
def test_an_attempt_that_was_rolled_back_does_not_shift_the_names_of_what_follows(savepoint: bool, file: Path) -> None:
    def work(attempts: int) -> int:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            for _ in range(attempts - 1):
                connection.execute("SAVEPOINT attempt")
                connection.execute("INSERT INTO purchases (status) VALUES ('first')")
                connection.execute("ROLLBACK TO attempt" if savepoint else "ROLLBACK")
                if not savepoint:
                    connection.execute("BEGIN")
            key = connection.execute("INSERT INTO purchases (status) VALUES ('new')").lastrowid
            connection.execute("UPDATE purchases SET status = 'paid' WHERE id = ?", (key,))
            connection.execute("COMMIT")
        return key or 0

    assert compared_runs(lambda: work(3), lambda: work(1)) == AFTER


def test_rows_that_may_have_been_left_out_have_no_names(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, running(Role.AUTHORITY) as run:
        connection.execute("INSERT INTO purchases (status) VALUES ('new')")
        connection.execute("CREATE UNIQUE INDEX one ON companies (name)")
        connection.execute("INSERT INTO companies (name) VALUES ('old') ON CONFLICT (name) DO UPDATE SET name = 'old'")
        connection.execute("INSERT OR IGNORE INTO companies (name) VALUES ('old'), ('new')").close()
        connection.commit()
    assert [one.name for one in run.generated_keys] == ["purchases#1"]
