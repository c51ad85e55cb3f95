"""The loop that keeps the ledger from growing with traffic; several comparators may each have one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from gateway.core.errors import StoreUnavailable
from gateway.usecases.apply_retention import ApplyRetention

__all__ = ["RetentionWatch"]

log = logging.getLogger(__name__)

_FIRST_S = 5.0


class RetentionWatch:
    """Applies the ledger's retention every `interval_s`."""

    def __init__(self, apply: ApplyRetention, *, interval_s: float = 600.0, first_s: float = _FIRST_S) -> None:
        self._apply = apply
        self._interval_s = interval_s
        self._first_s = first_s
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._counts = {"submissions_dropped": 0, "retention_failures": 0}

    def counts(self) -> Mapping[str, int]:
        """What it has done since it was made."""
        return dict(self._counts)

    async def start(self) -> None:
        """Begin, beside the caller."""
        self._running = asyncio.create_task(self._watch(), name="retention")

    async def stop(self) -> None:
        """Finish the few in hand, and return."""
        self._stopping.set()
        if self._running is not None:
            await self._running

    async def _watch(self) -> None:
        pause_s = self._first_s
        while not await self._stops_within(pause_s):
            pause_s = self._interval_s
            try:
                dropped = await self._apply.apply(self._stopping)
            except StoreUnavailable as exc:
                log.warning("retention_waits", extra={"reason": str(exc)})
            except Exception as exc:  # noqa: BLE001  # observer: a walk that fails must not end those after it
                self._counts["retention_failures"] += 1
                # A database's error quotes the parameters of its statement: its kind is logged, its text is not.
                log.error("retention_failed", extra={"error": type(exc).__name__})
            else:
                self._counts["submissions_dropped"] += dropped
                if dropped:
                    log.info("records_dropped", extra={"count": dropped})

    async def _stops_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()
