"""The console over a gateway in memory, with one pair compared."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from dualrun.contracts import Role
from gateway.api.application import create_application
from gateway.console import create_console
from gateway.core.comparison import Verdict
from tests.support.gateway_parts import MemoryGateway, memory_gateway
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def gateway() -> AsyncIterator[MemoryGateway]:
    async with memory_gateway() as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: MemoryGateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_application(gateway.services, console=create_console))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.fixture
async def compared(gateway: MemoryGateway) -> str:
    """The id of a submission whose arguments, values and task hold what a page must not take for its own."""
    task, records = f"shop.{HOSTILE}", [a_record(task=f"shop.{HOSTILE}", args=(HOSTILE,))]
    await gateway.ledger.append(records, arrived_at=NOON)
    for role, value in ((Role.AUTHORITY, HOSTILE), (Role.SHADOW, "other")):
        await gateway.ledger.append([an_outcome(role=role, task=task, value=value)], arrived_at=NOON)
    await gateway.ledger.store([a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference(authority=HOSTILE, shadow="other"), task=task)])
    return "s1"
