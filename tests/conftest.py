"""Fixtures every test can ask for: a corner of each real service, cleaned up afterwards."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest

from dualrun.broker import Broker
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker
from examples.shop.server import RunningShop, running_shop
from tests.support.services import fresh_database, fresh_vhost, owned_prefix, reachable_redis_url
from tests.support.tcp_proxy import TcpProxy, proxied_async

# The same examples at every run: what is red was made red by the change at hand. To look for more: HYPOTHESIS_PROFILE=explore.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.register_profile("explore", print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True)
def _log_level_as_it_was() -> Iterator[None]:
    """A command under test sets the level of its process, which here is that of the tests after it."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)


@pytest.fixture(scope="module")
def amqp_url() -> Iterator[str]:
    """A RabbitMQ virtual host for this test module; also a Celery broker URL."""
    with fresh_vhost() as url:
        yield url


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.services)])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """Every adapter in turn, connected."""
    adapter: Broker = MemoryBroker() if request.param == "memory" else RabbitBroker(request.getfixturevalue("amqp_url"))
    await adapter.connect()
    yield adapter
    await adapter.close()


@pytest.fixture
async def amqp_link(amqp_url: str) -> AsyncIterator[tuple[TcpProxy, str]]:
    async with proxied_async(amqp_url, 5672) as link:
        yield link


@pytest.fixture
def proxy(amqp_link: tuple[TcpProxy, str]) -> TcpProxy:
    """Before RabbitMQ: whoever connects to `proxied_url` goes through it."""
    return amqp_link[0]


@pytest.fixture
def proxied_url(amqp_link: tuple[TcpProxy, str]) -> str:
    return amqp_link[1]


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


@pytest.fixture(scope="session")
def shop_server() -> Iterator[RunningShop]:
    """The sample shop on free ports, shared: ask for `sample_shop`."""
    with running_shop() as shop:
        yield shop


@pytest.fixture
def sample_shop(shop_server: RunningShop, monkeypatch: pytest.MonkeyPatch) -> RunningShop:
    """The sample shop, empty, with the sample tasks and handlers of this process pointed at it; retries come at once."""
    for name, value in {**shop_server.env, "SHOP_RETRY_DELAY_S": "0"}.items():
        monkeypatch.setenv(name, value)
    shop_server.reset()
    return shop_server
