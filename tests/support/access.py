"""A gateway that asks who calls, and callers with each permission."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from gateway.api.application import create_application
from gateway.console import create_console
from gateway.core.access import ALL_TASKS, Permission
from gateway.settings import AccessMode
from tests.support.gateway_parts import MemoryGateway, memory_gateway

__all__ = ["ADMIN_TOKEN", "bearer", "guarded_gateway", "token_for"]

ADMIN_TOKEN = "0123456789abcdef0123456789abcdef"


@asynccontextmanager
async def guarded_gateway(**settings: object) -> AsyncIterator[tuple[MemoryGateway, httpx.AsyncClient]]:
    """The gateway, and a client that says nothing of who it is."""
    async with memory_gateway(**{"access": AccessMode.REQUIRED, "admin_token": ADMIN_TOKEN, **settings}) as gateway:
        transport = httpx.ASGITransport(create_application(gateway.services, console=create_console))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield gateway, client


async def token_for(gateway: MemoryGateway, *permissions: Permission, tasks: Sequence[str] = ALL_TASKS, name: str = "tests") -> str:
    """What a caller with these permissions sends."""
    _, shown = await gateway.services.tokens.create(name, permissions, tasks=tasks, created_by="tests")
    return shown


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
