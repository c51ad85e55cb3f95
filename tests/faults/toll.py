"""What a worker costs while something is broken, and afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.support.processes import Process

__all__ = ["GROWTH_MAX_BYTES", "come_to_rest", "in_no_busy_loop", "memory_bytes"]

GROWTH_MAX_BYTES = 10 << 20
"""What may be added to a worker that has worked before: pools and caches are full by then."""
_ODDS_AND_ENDS_S = 0.3
"""Heartbeats, renewals, finishing what was in hand."""
_SHARE_MAX = 0.25
"""Of the time, for trying again; a loop that waits for nothing takes all it can get."""
_LOOK_S, _LOOKS, _REST_SHARE = 0.5, 40, 0.2


def memory_bytes(worker: Process) -> int:
    """Resident memory."""
    size: int = psutil.Process(worker.pid).memory_info().rss
    return size


@contextmanager
def in_no_busy_loop(*workers: Process) -> Iterator[None]:
    """The workers, which have nothing they could do meanwhile, use next to no processor time."""
    before = [_processor_s(worker) for worker in workers]
    began_s = time.monotonic()
    yield
    allowed_s = _ODDS_AND_ENDS_S + _SHARE_MAX * (time.monotonic() - began_s)
    spent = [_processor_s(worker) - spent_before for worker, spent_before in zip(workers, before, strict=True)]
    assert max(spent) < allowed_s, f"{spent} s of processor time, where {allowed_s:.2f} s would do"


async def come_to_rest(*workers: Process) -> None:
    """Return once the workers, which have nothing left to do, use next to no processor time; one that was just started may need a while."""
    spent: list[float] = []
    for _ in range(_LOOKS):
        before = [_processor_s(worker) for worker in workers]
        await asyncio.sleep(_LOOK_S)
        spent = [_processor_s(worker) - spent_before for worker, spent_before in zip(workers, before, strict=True)]
        if max(spent) < _REST_SHARE * _LOOK_S:
            return
    raise AssertionError(f"{spent} s of processor time in {_LOOK_S} s, with nothing to do")


def _processor_s(worker: Process) -> float:
    times = psutil.Process(worker.pid).cpu_times()
    spent: float = times.user + times.system
    return spent
