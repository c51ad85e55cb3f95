"""Tasks that create rows, and what they do with the keys the database gave: a sequence gives a shadow others, and the pair is the same."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable

import asyncpg
import psycopg
import psycopg2
import pytest
from kombu.connection import Connection

from dualrun.effects import effect
from gateway.core.comparison import Verdict
from tests.dualrun.effects.orders import compared_runs
from tests.support.comparing import found

pytestmark = pytest.mark.services

INSERT = "INSERT INTO orders (status) VALUES ('new') RETURNING id"


@pytest.fixture(autouse=True)
def _sequence_past_the_rows(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT setval('orders_id_seq', (SELECT greatest(max(id), 100) FROM orders))")


def by_psycopg(url: str) -> int:
    with psycopg.connect(url) as connection:
        ((order,),) = connection.execute(INSERT).fetchall()
        return int(order)


def by_psycopg2(url: str) -> int:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(INSERT)
        ((order,),) = cursor.fetchall()
        return int(order)


def by_asyncpg(url: str) -> int:
    async def insert() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval(INSERT))
        finally:
            await connection.close()

    return asyncio.run(insert())


WAYS = [by_psycopg, by_psycopg2, by_asyncpg]


@pytest.mark.parametrize("create", WAYS, ids=lambda way: way.__name__)
def test_a_row_created_returned_and_handed_on_is_the_same_on_both_sides(create: Callable[[str], int], url: str) -> None:
    def work(wrong_child: int = 0) -> dict[str, int]:
        order = create(url)
        effect("message", "order.pack", {"args": [order + wrong_child]})
        effect("email", "to:a@example.org", {"text": f"Thank you for order {order}."})
        effect("file", f"WRITE /srv/invoices/{order}.pdf", {"text": f"Invoice {order}"})
        return {"order": order}

    assert compared_runs(work) == (Verdict.EQUAL_AFTER_NORMALISE, ())
    verdict, differences = compared_runs(work, lambda: work(wrong_child=1))
    assert (verdict, [one.path for one in differences]) == (Verdict.DIFFERENT_EFFECT, ["/effects/message/order.pack/args/[*]"])


def test_a_number_the_row_has_beside_its_key_is_compared(url: str) -> None:
    """What RETURNING gives besides the key is no key."""
    totals = iter((30, 31))

    def work() -> int:
        with psycopg.connect(url) as connection:
            sql = "INSERT INTO orders (status, note) VALUES ('new', %s) RETURNING note::int AS total, id"
            ((total, _),) = connection.execute(sql, (str(next(totals)),)).fetchall()
            return int(total)

    verdict, differences = compared_runs(work)
    assert verdict is Verdict.DIFFERENT_EFFECT
    assert ("value", "/value") in found((verdict, differences))


def test_a_message_sent_on_carries_the_new_key(url: str, amqp_url: str) -> None:
    queue = f"generated-{uuid.uuid4().hex}"

    def work() -> None:
        order = by_psycopg(url)
        with Connection(amqp_url) as connection, connection.Producer() as producer:
            producer.publish({"order": order}, routing_key=queue, serializer="json")

    assert compared_runs(work) == (Verdict.EQUAL_AFTER_NORMALISE, ())


@pytest.mark.parametrize("nested", [True, False])
def test_an_attempt_that_was_rolled_back_does_not_shift_the_names_of_what_follows(nested: bool, url: str) -> None:
    """The sequence goes on, so that the attempts have keys of their own."""

    def work(attempts: int) -> int:
        with psycopg.connect(url, autocommit=True) as connection, contextlib.ExitStack() as outer:
            if nested:
                outer.enter_context(connection.transaction())
            for _ in range(attempts - 1):
                with connection.transaction(force_rollback=True):
                    connection.execute(INSERT)
            with connection.transaction():
                ((order,),) = connection.execute(INSERT).fetchall()
                connection.execute("UPDATE orders SET status = 'paid' WHERE id = %s", (order,))
                return int(order)

    assert compared_runs(lambda: work(3), lambda: work(1)) == (Verdict.EQUAL_AFTER_NORMALISE, ())
    assert compared_runs(lambda: work(1), lambda: work(2)) == (Verdict.EQUAL_AFTER_NORMALISE, ())
