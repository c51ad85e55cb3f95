"""The ledger's engine for as long as a process lives, its schema brought up to date."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from dualrun.background import cancelled
from gateway.core.errors import StoreUnavailable
from gateway.ledger.database import create_ledger_engine
from gateway.ledger.migrations import upgrade

__all__ = ["open_engine"]

log = logging.getLogger(__name__)

_AGAIN_S = 2.0


@asynccontextmanager
async def open_engine(url: str, *, pool_size: int = 5) -> AsyncIterator[AsyncEngine]:
    """An engine on the present schema, disposed of at the end.

    A process starts whether or not its ledger is there: where it is away, the schema is brought up to date once it is back.
    Raises `ConfigurationError` for a URL that names no ledger.
    """
    engine = create_ledger_engine(url, pool_size=pool_size)
    upgrading: asyncio.Task[None] | None = None
    try:
        if not await _upgraded(url):
            upgrading = asyncio.create_task(_upgrade_when_there(url), name="upgrade the ledger")
        yield engine
    finally:
        await cancelled(upgrading)
        await engine.dispose()


async def _upgraded(url: str) -> bool:
    try:
        await upgrade(url)
    except StoreUnavailable as exc:
        log.warning("ledger_not_upgraded", extra={"reason": str(exc)})
        return False
    return True


async def _upgrade_when_there(url: str) -> None:
    while True:
        await asyncio.sleep(_AGAIN_S)
        if await _upgraded(url):
            return
