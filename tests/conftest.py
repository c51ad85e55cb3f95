"""Fixtures every test can ask for: a corner of each real service, cleaned up afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.services import fresh_database, fresh_vhost, owned_prefix, reachable_redis_url


@pytest.fixture(scope="module")
def amqp_url() -> Iterator[str]:
    """A RabbitMQ virtual host for this test module; also a Celery broker URL."""
    with fresh_vhost() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Redis, shared: use `redis_prefix` for keys."""
    return reachable_redis_url()


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A key prefix for this test, ending in a colon."""
    with owned_prefix(redis_url) as prefix:
        yield prefix


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL database for this test module, as an SQLAlchemy URL with asyncpg."""
    with fresh_database() as url:
        yield url
