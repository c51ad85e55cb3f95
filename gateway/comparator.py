"""The comparator: takes records off the queue into the ledger, pairs outcomes, compares them. Several may compete."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from dualrun.contracts import Record
from dualrun.errors import BrokerError
from gateway.core.comparison import Comparison
from gateway.core.errors import StoreUnavailable
from gateway.core.pairing import CompareOutcomes
from gateway.core.ports import LedgerWriter, OutcomeNotices, RecordBatch, RecordSource
from gateway.core.record_lag import RecordLag
from gateway.usecases.compare_pairs import compare_pairs
from gateway.usecases.record_outcomes import record_outcomes
from gateway.usecases.sweep_overdue import sweep_overdue

__all__ = ["Comparator", "Judging"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class Judging(Protocol):
    """What is done with records and pairs by rules."""

    @property
    def compare(self) -> CompareOutcomes:
        """The verdict on a pair."""
        ...

    def redact(self, record: Record) -> Record:
        """The record as it may be stored."""
        ...


class Comparator:
    """One comparator. A record is taken off the queue once the ledger has it; while the ledger is away, records wait."""

    def __init__(
        self,
        *,
        source: RecordSource,
        ledger: LedgerWriter,
        notices: OutcomeNotices,
        judge: Judging,
        now: Callable[[], datetime],
        deadline_s: float,
        sweep_interval_s: float = 5.0,
        follow_rules: Callable[[asyncio.Event], Awaitable[None]] | None = None,
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._notices = notices
        self._judge = judge
        self._now = now
        self._deadline_s = deadline_s
        self._sweep_interval_s = sweep_interval_s
        self._follow_rules = follow_rules
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._lag = RecordLag()
        self._counts = {"records_stored": 0, "pairs_compared": 0, "pairs_overdue": 0, "ledger_retries": 0, "failures": 0}

    def counts(self) -> Mapping[str, int]:
        """What it has done since it was made."""
        return dict(self._counts)

    async def start(self) -> None:
        """Run beside the caller."""
        if self._running is None:
            self._running = asyncio.create_task(self.run(), name="comparator")

    async def run(self) -> None:
        """Work until `stop` is called."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._consume(), name="comparator: records")
            group.create_task(self._sweep(), name="comparator: overdue pairs")
            if self._follow_rules is not None:
                group.create_task(self._followed(self._follow_rules), name="comparator: rules")

    async def stop(self) -> None:
        """Finish the batch in hand if the ledger takes it, put everything else back, and return once that is done."""
        self._stopping.set()
        if self._running is not None:
            await self._running

    async def _followed(self, follow: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            try:
                await follow(self._stopping)
            except Exception as exc:  # noqa: BLE001  # consumer loop: a follower that fails must not end the comparator
                self._failed("following_rules_failed", exc)
                await self._pause(_LONGEST_PAUSE_S)

    async def _consume(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            batches = _closeable(self._source.batches())
            try:
                while (batch := await self._unless_stopped(batches)) is not None:
                    await self._work(batch)
                    pause_s = _FIRST_PAUSE_S
            except BrokerError as exc:
                self._lag.out_of_reach(self._now())
                log.warning("records_out_of_reach", extra={"reason": str(exc)})
            except Exception as exc:  # noqa: BLE001  # consumer loop: what is wrong with one batch must not end the consumption
                self._failed("records_failed", exc)
            finally:
                await batches.aclose()
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _work(self, batch: RecordBatch) -> None:
        touched: Sequence[str] | None = None
        self._lag.read(batch.records, self._now())
        try:
            records = [self._judge.redact(record) for record in batch.records]
            touched = await self._retrying(lambda: record_outcomes(records, ledger=self._ledger, notices=self._notices, now=self._now()))
        finally:
            if touched is None:
                batch.put_back()
        if touched is None:
            return
        batch.done()
        self._counts["records_stored"] += len(batch.records)
        # From here on a crash costs time and nothing else: the sweep finds pairs that were not compared.
        compared = await self._retrying(lambda: self._compare(touched, self._now()))
        self._counts["pairs_compared"] += len(compared or ())

    async def _compare(self, touched: Sequence[str], now: datetime) -> Sequence[Comparison]:
        known_until, compare = self._lag.known_until(now), self._judge.compare
        return await compare_pairs(
            touched, ledger=self._ledger, compare=compare, now=now, deadline_s=self._deadline_s, known_until=known_until
        )

    async def _sweep_once(self, now: datetime) -> int:
        known_until, compare = self._lag.known_until(now), self._judge.compare
        return await sweep_overdue(ledger=self._ledger, compare=compare, now=now, deadline_s=self._deadline_s, known_until=known_until)

    async def _sweep(self) -> None:
        while True:
            await self._pause(self._sweep_interval_s)
            if self._stopping.is_set():
                return
            try:
                overdue = await self._retrying(lambda: self._sweep_once(self._now()))
                self._counts["pairs_overdue"] += overdue or 0
            except Exception as exc:  # noqa: BLE001  # consumer loop: without the sweep, missing outcomes would never be seen
                self._failed("sweep_failed", exc)

    def _failed(self, event: str, error: Exception) -> None:
        self._counts["failures"] += 1
        # A database's error quotes the parameters of its statement: its kind is logged, its text is not.
        log.error(event, extra={"error": type(error).__name__})

    async def _retrying(self, call: Callable[[], Awaitable[_T]]) -> _T | None:
        """What the call gives, however long the ledger is away; None where stopping came first.

        Records stay in hand meanwhile: putting them back would count as a delivery each time, and brokers give up on those.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await call()
            except StoreUnavailable as exc:
                self._counts["ledger_retries"] += 1
                log.warning("ledger_out_of_reach", extra={"reason": str(exc)})
            if self._stopping.is_set():
                return None
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _unless_stopped(self, batches: AsyncGenerator[RecordBatch, None]) -> RecordBatch | None:
        """The next batch; None where stopping comes first, or no more batches."""
        if self._stopping.is_set():
            return None
        coming = asyncio.create_task(_next(batches))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([coming, stopping], return_when=asyncio.FIRST_COMPLETED)
            return await coming if coming.done() else None
        finally:
            coming.cancel()
            stopping.cancel()
            await asyncio.gather(coming, stopping, return_exceptions=True)


async def _next(batches: AsyncGenerator[RecordBatch, None]) -> RecordBatch | None:
    return await anext(batches, None)


async def _closeable(batches: AsyncIterator[RecordBatch]) -> AsyncGenerator[RecordBatch, None]:
    """The same batches; closing closes the source too, which gives back what it holds."""
    try:
        async for batch in batches:
            yield batch
    finally:
        close = getattr(batches, "aclose", None)
        if close is not None:
            await close()
