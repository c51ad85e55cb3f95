"""The events side's HTTP task: by itself, so that the workers of the other tasks do not import an HTTP client."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated

import aiohttp

from benchmarks.runtime_work import HTTP_CONNECTIONS, SERVICE_URL
from event_handlers import dependency, handler


@dependency
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """One a process: its connections stay open, and its handlers share them."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=HTTP_CONNECTIONS)) as opened:
        yield opened


@handler("bench.http")
async def http(sent_at: float, *, client: Annotated[aiohttp.ClientSession, session]) -> float:
    async with client.get(SERVICE_URL) as response:
        response.raise_for_status()
        await response.read()
    return time.time() - sent_at
