"""A shadow on a Celery worker that writes to a database, a cache, a web service, a mail server and a queue: none of them sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from dualrun.contracts import Role, State
from tests.dualrun.effects.conftest import mail, web
from tests.support.services import unique_name

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Mail, Web
    from tests.legacy_celery.conftest import Shop

__all__ = ["mail", "web"]

pytestmark = [pytest.mark.services, pytest.mark.e2e]


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    url = urlsplit(postgres_url)._replace(scheme="postgresql").geturl()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, label TEXT)")
        connection.execute("INSERT INTO orders VALUES (7, 'new', NULL)")
    yield url
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE orders")


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_the_outside_sees_the_authority_alone_and_the_shadow_is_answered_as_it_was(
    shop: Shop, pool: str, web: Web, mail: Mail, database: str, redis_url: str, redis_prefix: str
) -> None:
    queue = unique_name()
    given = {"web": web.url, "database": database, "cache": f"{redis_url} {redis_prefix}", "smtp_port": mail.port, "queue": queue}
    env = {
        "DUALRUN_REDIS_URL": redis_url,
        "DUALRUN_REDIS_PREFIX": redis_prefix,
        # The worker's own connections: results are kept of shadows too.
        "CELERY_RESULT_BACKEND": redis_url,
    }
    channel = shop.connection.channel()
    channel.queue_declare(queue, auto_delete=False)

    def seen() -> list[object]:
        with psycopg.connect(database) as connection, redis.Redis.from_url(redis_url) as client:
            row = connection.execute("SELECT status, label FROM orders").fetchone()
            messages = channel.queue_declare(queue, passive=True).message_count
            return [row, client.exists(f"{redis_prefix}shipped:7"), len(web.hits), len(mail.envelopes), mail.connections, messages]

    untouched = seen()
    with shop.worker("-P", pool, "-c", "1", env=env):
        alone = shop.outcome_of(shop.submit("orders.ship", 7, role=Role.SHADOW, kwargs={**given}))
        assert alone.failure is not None, "an empty answer has no path"
        assert seen() == untouched

        submission = shop.submit("orders.ship", 7, kwargs={**given}, shadowed=True)
        authority = shop.outcome_of(submission)
        assert (authority.state, authority.failure) == (State.SUCCEEDED, None)
        touched = seen()
        assert touched == [("shipped", "/labels"), 1, 2, 1, 1, 1]

        with psycopg.connect(database) as connection:
            connection.execute("UPDATE orders SET status = 'new', label = NULL")
        del shop.outcomes[submission]
        shop.repeat(submission, "orders.ship", 7, role=Role.SHADOW, kwargs={**given})
        shadow = shop.outcome_of(submission)
        assert (shadow.role, shadow.state, shadow.failure, shadow.value) == (Role.SHADOW, State.SUCCEEDED, None, authority.value)
        assert seen() == [("new", None), *touched[1:]]
    assert [(e.kind, e.key, e.payload) for e in shadow.effects] == [(e.kind, e.key, e.payload) for e in authority.effects]
    assert [e.kind for e in authority.effects] == ["http", "sql", "cache", "http", "email", "message"]
    assert {e.performed for e in authority.effects} == {True}
    assert {e.performed for e in shadow.effects} == {False}
    with redis.Redis.from_url(redis_url) as client:
        assert client.delete(f"celery-task-meta-{submission}") == 1
    channel.queue_delete(queue)
    channel.close()
