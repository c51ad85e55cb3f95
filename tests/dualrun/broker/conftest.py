from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dualrun.broker import Broker
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker
from tests.support.services import unique_name


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.services)])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """Every adapter in turn, connected."""
    adapter: Broker = MemoryBroker() if request.param == "memory" else RabbitBroker(request.getfixturevalue("amqp_url"))
    await adapter.connect()
    yield adapter
    await adapter.close()


@pytest.fixture
def name() -> str:
    """A queue or exchange name no other test has."""
    return unique_name("broker")
