"""Django on SQLite, whose ORM writes outside of transactions and has the new keys returned."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.db import transaction

from dualrun.contracts import Role
from tests.dualrun.effects.django_orders import DjangoOrder, django_database
from tests.dualrun.effects.orders import running


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT NOT NULL, note TEXT)")
        connection.execute("INSERT INTO orders (id, status) VALUES (1, 'new')")
        connection.commit()
    with django_database(ENGINE="django.db.backends.sqlite3", NAME=str(path)):
        yield path


@pytest.mark.parametrize("role", list(Role))
def test_a_shadow_may_create_save_and_delete_with_and_without_a_transaction(role: Role, file: Path) -> None:
    with running(role) as run:
        DjangoOrder.objects.create(id=2, status="new")
        DjangoOrder.objects.bulk_create([DjangoOrder(id=3, status="many"), DjangoOrder(id=4, status="many")])
        with transaction.atomic():
            order = DjangoOrder.objects.get(id=1)
            order.status = "paid"
            order.save()
            with transaction.atomic():
                DjangoOrder.objects.create(id=5, status="inner")
        DjangoOrder.objects.filter(id=2).delete()
        assert list(DjangoOrder.objects.order_by("id").values_list("id", "status")) == [(1, "paid"), (3, "many"), (4, "many"), (5, "inner")]
    keys = ["INSERT orders id=2", "INSERT orders id=3", "INSERT orders id=4", "UPDATE orders id=1", "INSERT orders id=5"]
    assert [effect.key for effect in run.effects[:5]] == keys
    with closing(sqlite3.connect(file)) as connection:
        stored = [id_ for (id_,) in connection.execute("SELECT id FROM orders ORDER BY id")]
    assert stored == ([1, 3, 4, 5] if role is Role.AUTHORITY else [1])


def test_a_row_read_anew_is_known_as_it_is_now(file: Path) -> None:
    with running(Role.AUTHORITY) as run:
        order = DjangoOrder.objects.get(id=1)
        DjangoOrder.objects.filter(id=1).update(status="paid elsewhere")
        order.refresh_from_db()
        order.status = "new"
        order.save()
        order.note = "n"
        order.save()
        assert not [name for name in vars(order) if "dualrun" in name]
    assert [effect.payload for effect in run.effects] == [
        {"set": {"status": "paid elsewhere"}},
        {"set": {"status": "new"}},
        {"set": {"note": "n"}},
    ]


def test_a_column_that_was_left_out_is_read_when_the_row_is(file: Path) -> None:
    with running(Role.AUTHORITY) as run:
        order = DjangoOrder.objects.defer("note").get(id=1)
        order.refresh_from_db()
        order.status = "paid"
        order.save()
    assert [effect.payload for effect in run.effects] == [{"set": {"status": "paid"}}]
