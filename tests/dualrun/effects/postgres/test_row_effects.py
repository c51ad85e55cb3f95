"""What the effects of rows are called, by every driver: each row by itself, and by keys that are the same in every run."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

import asyncpg
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa
from psycopg2.extras import RealDictCursor
from sqlalchemy.orm import Session

from dualrun.contracts import Role
from tests.dualrun.effects.orders import Order, running
from tests.dualrun.effects.postgres.order_rows import rows


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


def _child_by_asyncpg(url: str) -> None:
    async def write() -> None:
        connection = await asyncpg.connect(url)
        parcel = await connection.fetchval("INSERT INTO parcels (order_id) VALUES ($1) RETURNING id", 1)
        await connection.execute("INSERT INTO labels (parcel_id, text) VALUES ($1, 'x')", parcel)
        await connection.execute("UPDATE parcels SET sent = true WHERE id = $1", parcel)
        await connection.close()

    asyncio.run(write())


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
def test_keys_the_database_gives_are_the_same_in_every_run(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS parcels (id SERIAL PRIMARY KEY, order_id INTEGER, sent BOOLEAN)")
        connection.execute("CREATE TABLE IF NOT EXISTS labels (id SERIAL PRIMARY KEY, parcel_id INTEGER, text TEXT)")
    for way in (_child_by_psycopg, _child_by_psycopg2, _child_by_asyncpg):
        for role in Role:
            with running(role) as run:
                way(url)
            assert [(effect.key, effect.payload) for effect in run.effects] == [
                ("INSERT parcels", {"set": {"order_id": 1}}),
                ("INSERT labels", {"set": {"parcel_id": "parcels#1", "text": "x"}}),
                ("UPDATE parcels id=parcels#1", {"set": {"sent": True}}),
            ]
