"""The events side of the rollback benchmark: so slow that a thousand messages wait."""

from __future__ import annotations

import asyncio

from benchmarks.rollback_runs import TASK, note
from event_handlers import handler

_RUN_S = 0.25


@handler(TASK)
async def run(number: int) -> int:
    note("start", number)
    await asyncio.sleep(_RUN_S)
    note("end", number)
    return number
