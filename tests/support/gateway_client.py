"""Speaking HTTP to a gateway of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from gateway.api.application import create_application
from tests.support.gateway_parts import MemoryGateway

__all__ = ["client_of"]


@asynccontextmanager
async def client_of(gateway: MemoryGateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its API, without the console."""
    transport = httpx.ASGITransport(create_application(gateway.services))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client
