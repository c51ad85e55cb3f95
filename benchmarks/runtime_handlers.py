"""The events side of the runtime benchmark: `python -m event_handlers --handlers benchmarks.runtime_handlers`."""

from __future__ import annotations

import asyncio
import time

from benchmarks.runtime_work import WAIT_S, burn
from event_handlers import handler


@handler("bench.noop")
async def noop(sent_at: float) -> float:
    return time.time() - sent_at


@handler("bench.io")
async def io(sent_at: float) -> float:
    await asyncio.sleep(WAIT_S)
    return time.time() - sent_at


@handler("bench.cpu")
async def cpu(sent_at: float) -> float:
    burn()
    return time.time() - sent_at
