"""The shadow's own way out: bounded, never waited for. Its failure, slowness or absence stays here, counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from dualrun.background import cancelled
from dualrun.contracts import ServedTask, Side, Work
from gateway.core.ports import Dispatcher

__all__ = ["ShadowCounts", "ShadowLane"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ShadowCounts:
    """What became of shadow work in this process since it started."""

    published: int = 0
    shed: int = 0
    """Not published because the lane was full."""
    failed: int = 0
    """Not published because the broker would not take it (a full shadow queue, no handler, no connection)."""


class ShadowLane:
    """Publishes shadow work in the background, in batches."""

    def __init__(self, dispatchers: Mapping[Side, Dispatcher], *, capacity: int = 10_000, batch: int = 100) -> None:
        self.counts = ShadowCounts()
        self._dispatchers = dispatchers
        self._capacity = capacity
        self._batch = batch
        self._waiting: deque[tuple[Work, ServedTask]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._runner: asyncio.Task[None] | None = None

    def offer(self, work: Work, served: ServedTask) -> None:
        """Take it if there is room; shed and count it if not. Returns at once and never raises."""
        if len(self._waiting) >= self._capacity:
            self.counts.shed += 1
            return
        self._waiting.append((work, served))
        self._idle.clear()
        self._wake.set()

    async def start(self) -> None:
        """Begin publishing what is offered."""
        self._runner = asyncio.create_task(self._run(), name="shadow-lane")

    async def stop(self, drain_s: float) -> None:
        """Publish what waits, for at most that long; count the rest as shed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), drain_s)
        self.counts.shed += len(self._waiting)
        self._waiting.clear()
        await cancelled(self._runner)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
                await self._publish(batch)
            self._idle.set()

    async def _publish(self, batch: list[tuple[Work, ServedTask]]) -> None:
        for side, dispatcher in self._dispatchers.items():
            share = [item for item in batch if item[0].side is side]
            if not share:
                continue
            try:
                results = await dispatcher.send_many(share)
            except Exception:  # the shadow path: whatever goes wrong here must not end the lane, nor reach a caller
                log.exception("shadow_publish_failed", extra={"side": side, "count": len(share)})
                self.counts.failed += len(share)
                continue
            failures = [failure for failure in results if failure is not None]
            self.counts.failed += len(failures)
            self.counts.published += len(share) - len(failures)
            if failures:
                log.warning("shadow_not_published", extra={"side": side, "count": len(failures), "reason": str(failures[0])})
