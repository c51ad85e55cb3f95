"""The loop in which the gate looks, and what Prometheus hears of it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dualrun.contracts import Side
from gateway.core.errors import StoreUnavailable
from gateway.core.step_evidence import StepEvidence
from gateway.gating import GateWatch
from gateway.ledger import MemoryLedger
from tests.support.eventually import becomes
from tests.support.gating import TASK, Way, announcement


class _Ledger(MemoryLedger):
    """Out of reach, then broken, then well."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: list[Exception] = [StoreUnavailable("away"), RuntimeError("broken")]

    async def step_evidence(self, *args: object, **named: object) -> StepEvidence:
        if self.trouble:
            raise self.trouble.pop(0)
        return await super().step_evidence(*args, **named)  # type: ignore[arg-type]


def _watch(way: Way) -> GateWatch:
    return GateWatch(gate=way.comparator(), workers=way.watch(grace_s=0), interval_s=0.001)


async def test_trouble_of_a_store_or_of_its_own_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="gateway.gating.watch")
    way = Way()
    way.ledger = _Ledger()
    await way.stand("canary 10 %")
    await way.run(200, different=8)
    watch = _watch(way)
    await watch.start()

    async def mode() -> str:
        return way.flags.snapshot.flags[TASK].mode.value

    await becomes(mode, "legacy")
    await asyncio.wait_for(watch.stop(), 10)
    counts = watch.counts()
    assert (counts["gate_store_away"], counts["gate_failures"]) == (1, 1)
    assert counts["gate_looks"] >= 3
    assert {"gate_waits", "gate_failed"} <= {record.message for record in caplog.records}


async def test_metrics_tell_state_checks_lost_workers_and_rollbacks() -> None:
    way = Way()
    await way.stand("canary 10 %")
    await way.run(200, different=8)
    watch = _watch(way)
    registry = CollectorRegistry()
    registry.register(watch)
    await watch.look()
    text = generate_latest(registry).decode()
    assert f'dualrun_gate_state{{action="roll_back",task="{TASK}"}} 1.0' in text
    assert f'dualrun_gate_check{{check="mismatch",result="fail",task="{TASK}"}} 1.0' in text
    assert 'dualrun_rollbacks_total{source="gate"} 1.0' in text
    way.catalogue.withdraw(announcement(Side.LEGACY, TASK))
    await watch.look()
    assert f'dualrun_workers_lost{{side="legacy",task="{TASK}"}} 1.0' in generate_latest(registry).decode()
