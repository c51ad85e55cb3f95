"""The loop beside a comparator in which the gate looks. Several may run: see `RunGate`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.errors import StoreUnavailable
from gateway.core.gate import GateAction, GateVerdict
from gateway.usecases.run_gate import RunGate
from gateway.usecases.watch_workers import WatchWorkers

__all__ = ["GateWatch"]

log = logging.getLogger(__name__)


class GateWatch(Collector):
    """Looks every `interval_s`. A store out of reach means that nothing is known: the gate waits, it neither promotes nor takes back."""

    def __init__(self, *, gate: RunGate, workers: WatchWorkers, interval_s: float) -> None:
        self._gate = gate
        self._workers = workers
        self._interval_s = interval_s
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._counts = {"gate_looks": 0, "gate_store_away": 0, "gate_failures": 0}
        self._changes = dict.fromkeys((GateAction.PROMOTE, GateAction.ROLL_BACK), 0)

    def counts(self) -> Mapping[str, int]:
        """What it has done since it was made."""
        return dict(self._counts)

    async def start(self) -> None:
        """Look beside the caller."""
        if self._running is None:
            self._running = asyncio.create_task(self._watch(), name="gate")

    async def stop(self) -> None:
        """Finish the look in hand, and return."""
        self._stopping.set()
        if self._running is not None:
            await self._running

    async def look(self) -> None:
        """Look once."""
        self._counts["gate_looks"] += 1
        for changed in (await self._workers.look(), await self._gate.look()):
            for verdict in changed:
                self._changes[verdict.action] += 1

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told at each scrape."""
        state = GaugeMetricFamily("dualrun_gate_state", "What the gate says of a task, 1 for its present word", labels=["task", "action"])
        checks = GaugeMetricFamily("dualrun_gate_check", "Result of a check of the gate, 1 for it", labels=["task", "check", "result"])
        for verdict in self._gate.verdicts.values():
            for action in GateAction:
                state.add_metric([verdict.task, action.value], float(action is verdict.action))
            _add_checks(checks, verdict)
        lost = GaugeMetricFamily("dualrun_workers_lost", "1 where a side that answers has no live worker", labels=["task", "side"])
        for task, side in self._workers.lost:
            lost.add_metric([task, side.value], 1.0)
        rollbacks = CounterMetricFamily("dualrun_rollbacks", "Rollbacks made by this process", labels=["source"])
        rollbacks.add_metric(["gate"], self._changes[GateAction.ROLL_BACK])
        promotions = CounterMetricFamily("dualrun_promotions", "Steps forward made by this process", labels=["source"])
        promotions.add_metric(["gate"], self._changes[GateAction.PROMOTE])
        yield from (state, checks, lost, rollbacks, promotions)

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.look()
            except StoreUnavailable as exc:
                self._counts["gate_store_away"] += 1
                log.warning("gate_waits", extra={"reason": str(exc)})
            except Exception:  # consumer loop: one task's trouble must not end the watch over all others
                self._counts["gate_failures"] += 1
                log.exception("gate_failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._interval_s)


def _add_checks(metric: GaugeMetricFamily, verdict: GateVerdict) -> None:
    for check in verdict.checks:
        metric.add_metric([verdict.task, check.name.value, check.result.value], 1.0)
