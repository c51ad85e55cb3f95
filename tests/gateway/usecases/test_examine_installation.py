"""Whether everything a gateway stands on is there: each thing that can be wrong is a finding with what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dualrun.broker import Broker
from dualrun.contracts import Announcement
from dualrun.errors import BrokerUnavailable, ConfigurationError
from gateway.core.installation import Installation, PartFacts, clock_finding
from gateway.core.readiness import Finding, Level
from gateway.usecases.examine_installation import ExamineInstallation
from tests.support.gateway_parts import TASK, MemoryGateway, memory_gateway

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


async def well() -> str | None:
    return None


async def away() -> str | None:
    return "connection refused"


def examining(gateway: MemoryGateway, *, broker: Broker | None = None, ledger_ahead_s: float = 0.0) -> ExamineInstallation:
    async def facts() -> PartFacts | None:
        return PartFacts("PostgreSQL 17", NOW + timedelta(seconds=ledger_ahead_s))

    async def nothing() -> PartFacts | None:
        return None

    return ExamineInstallation(
        probes={"ledger": well, "redis": away},
        facts={"ledger": facts, "redis": nothing},
        broker=broker or gateway.broker,
        catalogue=gateway.catalogue,
        flags=gateway.flags,
        now=lambda: NOW,
    )


def finding(installation: Installation, what: str) -> Finding:
    return next(found for found in installation.findings if found.what == what)


async def test_what_answers_is_fine_and_what_is_away_blocks_with_what_to_do() -> None:
    async with memory_gateway() as gateway:
        seen = await examining(gateway)()
    assert finding(seen, "ledger").level is Level.FINE
    assert (finding(seen, "redis").level, finding(seen, "redis").seen) == (Level.BLOCKED, "connection refused")
    assert "DUALRUN_REDIS_URL" in finding(seen, "redis").do
    assert not seen.ready
    assert (seen.versions["ledger"], "redis" in seen.versions) == ("PostgreSQL 17", False)
    assert finding(seen, "workers of legacy").seen == "1 alive, 1 tasks"
    assert finding(seen, "queue arguments").level is Level.FINE
    assert "0 consumers" in finding(seen, "queues of shop").seen


async def test_a_task_whose_answering_side_is_deserted_blocks() -> None:
    async with memory_gateway() as gateway:
        for worker in gateway.catalogue.workers():
            gateway.catalogue.withdraw(Announcement(worker=worker.name, side=worker.side, service=worker.service, tasks=()))
        seen = await examining(gateway)()
    assert TASK in finding(seen, "tasks without a worker").seen
    assert finding(seen, "workers of events").level is Level.WATCH


@pytest.mark.parametrize(
    ("ahead_s", "level"),
    [(0.4, Level.FINE), (-0.9, Level.FINE), (3, Level.WATCH), (-3, Level.WATCH), (31, Level.BLOCKED), (-40, Level.BLOCKED)],
)
async def test_a_clock_that_goes_otherwise_is_seen_whichever_way(ahead_s: float, level: Level) -> None:
    assert clock_finding("redis", timedelta(seconds=ahead_s)).level is level
    async with memory_gateway() as gateway:
        assert finding(await examining(gateway, ledger_ahead_s=ahead_s)(), "clock of ledger").level is level


async def test_a_queue_that_was_declared_otherwise_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_gateway() as gateway:
        for error, level in (
            (ConfigurationError("dualrun.records exists with another x-queue-type"), Level.BLOCKED),
            (BrokerUnavailable("no link"), Level.WATCH),
        ):

            async def declare(*_: object, raised: Exception = error) -> None:
                raise raised

            with monkeypatch.context() as patched:
                patched.setattr(gateway.broker, "declare", declare)
                found = finding(await examining(gateway)(), "queue arguments")
            assert found.level is level
            assert str(error) in found.seen
