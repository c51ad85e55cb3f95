"""A gateway in memory, and a client of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.gateway_client import client_of
from tests.support.gateway_parts import MemoryGateway, memory_gateway


@pytest.fixture
async def gateway() -> AsyncIterator[MemoryGateway]:
    async with memory_gateway() as running:
        yield running


@pytest.fixture
async def client(gateway: MemoryGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(gateway) as client:
        yield client


@pytest.fixture
async def comparing(gateway: MemoryGateway) -> None:
    """Records are taken from the queue: what is submitted can be read."""
    await gateway.comparator.start()
