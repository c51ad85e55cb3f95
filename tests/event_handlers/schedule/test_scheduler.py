"""One tick, one event: on each store."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dualrun.broker import Binding, Exchange, Queue, Topology
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts import event_from_message
from dualrun.contracts.topology import EVENTS_EXCHANGE
from dualrun.errors import ConfigurationError
from event_handlers import EventPublisher
from event_handlers.schedule import MemoryTicks, Schedule, Scheduler, Ticks, TicksUnavailable, collect_schedules
from event_handlers.schedule.health import SchedulerHealth
from event_handlers.schedule.ticks_redis import RedisTicks
from tests.support.eventually import becomes
from tests.support.inbox import Inbox
from tests.support.processes import Process, free_port

NOON = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)
HOURLY = Schedule("0 * * * *", "report.wanted", {"kind": "hourly"})
MakeTicks = Callable[[], Ticks]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def make_ticks(request: pytest.FixtureRequest) -> AsyncIterator[MakeTicks]:
    """What each of several schedulers shares with the others."""
    opened: list[Ticks] = [MemoryTicks(claim_s=0.2)]

    def make() -> Ticks:
        if request.param == "redis":
            opened.append(RedisTicks(request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix"), "shop", claim_s=0.2))
        return opened[-1]

    yield make
    for ticks in opened:
        await ticks.close()


@pytest.fixture
async def broker() -> AsyncIterator[MemoryBroker]:
    broker = MemoryBroker()
    await broker.connect()
    await broker.declare(
        Topology(exchanges=(Exchange(EVENTS_EXCHANGE),), queues=(Queue(name="q"),), bindings=(Binding(EVENTS_EXCHANGE, "q", "#"),))
    )
    yield broker
    await broker.close()


def scheduler_of(broker: MemoryBroker, ticks: Ticks, now: datetime = NOON) -> Scheduler:
    return Scheduler(EventPublisher(broker, "/shop"), [HOURLY], ticks, service="shop", now=lambda: now)


async def waiting(broker: MemoryBroker) -> int:
    depth = await broker.depth("q")
    assert depth is not None
    return depth.ready


async def test_of_several_schedulers_one_publishes_a_tick(broker: MemoryBroker, make_ticks: MakeTicks) -> None:
    schedulers = [scheduler_of(broker, make_ticks()) for _ in range(5)]
    await asyncio.gather(*(scheduler.publish_due() for scheduler in schedulers))
    await asyncio.gather(*(scheduler.publish_due() for scheduler in schedulers))
    assert await waiting(broker) == 1
    inbox = Inbox()
    await broker.consume("q", inbox, prefetch=1)
    message = (await inbox.take()).message
    event = event_from_message(message.headers, message.body)
    assert (event.type, event.payload, event.id) == (
        "report.wanted",
        {"kind": "hourly"},
        HOURLY.event_id("shop", NOON.replace(second=0)),
    )


async def test_the_next_tick_has_an_event_of_its_own(broker: MemoryBroker, make_ticks: MakeTicks) -> None:
    for hours in (0, 1, 1, 2):
        assert await scheduler_of(broker, make_ticks(), NOON + timedelta(hours=hours)).publish_due()
    assert await waiting(broker) == 3


async def test_the_tick_of_a_scheduler_that_died_is_published_by_another(broker: MemoryBroker, make_ticks: MakeTicks) -> None:
    assert await make_ticks().claim(HOURLY.name, NOON.replace(second=0))
    other = scheduler_of(broker, make_ticks())
    assert not await other.publish_due()
    assert await waiting(broker) == 0
    await becomes(other.publish_due, True)
    assert await waiting(broker) == 1


async def test_a_tick_waits_for_a_broker_that_is_away(broker: MemoryBroker, make_ticks: MakeTicks) -> None:
    scheduler = scheduler_of(broker, make_ticks())
    await broker.close()
    assert not await scheduler.publish_due()
    await broker.connect()
    await becomes(scheduler.publish_due, True)
    assert await waiting(broker) == 1


async def test_a_tick_waits_for_somebody_to_listen(make_ticks: MakeTicks) -> None:
    broker = MemoryBroker()
    await broker.connect()
    scheduler = scheduler_of(broker, make_ticks())
    assert not await scheduler.publish_due()
    topology = Topology(exchanges=(Exchange(EVENTS_EXCHANGE),), queues=(Queue(name="q"),), bindings=(Binding(EVENTS_EXCHANGE, "q", "#"),))
    await broker.declare(topology)
    await becomes(scheduler.publish_due, True)
    assert await waiting(broker) == 1
    await broker.close()


async def test_a_tick_waits_for_a_store_that_is_away(broker: MemoryBroker) -> None:
    class Away(MemoryTicks):
        async def claim(self, schedule: str, tick: datetime) -> bool | None:
            raise TicksUnavailable("gone")

    scheduler = scheduler_of(broker, Away())
    assert not await scheduler.publish_due()
    assert await waiting(broker) == 0
    told = SchedulerHealth(scheduler, "shop", schedules=1).metrics().decode()
    assert 'dualrun_scheduler_ticks_total{service="shop",result="delayed"} 1\n' in told
    assert 'dualrun_scheduler_overdue_seconds{service="shop"} 30.000000\n' in told


def test_a_scheduler_sleeps_until_the_next_tick_but_not_past_a_changed_clock() -> None:
    publisher = EventPublisher(MemoryBroker(), "/shop")
    at = Scheduler(publisher, [HOURLY], MemoryTicks(), service="shop", now=lambda: NOON.replace(minute=59, second=50))
    assert at.sleep_s() == 10
    assert scheduler_of(MemoryBroker(), MemoryTicks()).sleep_s() == 60


def test_two_schedules_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=HOURLY.name):
        Scheduler(EventPublisher(MemoryBroker(), "/shop"), [HOURLY, HOURLY], MemoryTicks(), service="shop")


@pytest.mark.services
@pytest.mark.e2e
async def test_two_processes_publish_one_event_a_tick(amqp_url: str, redis_url: str, redis_prefix: str, tmp_path: Path) -> None:
    (tmp_path / "proj_schedules.py").write_text(
        "from event_handlers.schedule import Schedule\n"
        "nightly = Schedule('0 0 * * *', 'report.daily', catch_up_s=10**6)\n"
        "hourly = Schedule('0 * * * *', 'report.hourly', {'deep': True})\n"
    )
    env = {
        "PYTHONPATH": f"{tmp_path}:{Path.cwd()}",
        "DUALRUN_AMQP_URL": amqp_url,
        "DUALRUN_REDIS_URL": redis_url,
        "DUALRUN_REDIS_PREFIX": redis_prefix,
    }
    broker = RabbitBroker(amqp_url)
    await broker.connect()
    exchange = Exchange(EVENTS_EXCHANGE)
    await broker.declare(Topology(exchanges=(exchange,), queues=(Queue(name="q"),), bindings=(Binding(exchange.name, "q", "report.*"),)))
    inbox = Inbox()
    await broker.consume("q", inbox, prefetch=10)
    command = [sys.executable, "-m", "event_handlers.schedule", "--handlers", "proj_schedules"]
    port = free_port()
    watched = [*command, "--metrics-port", str(port), "--log-format", "json"]
    with Process("one", watched, env=env) as one, Process("two", command, env=env) as two:
        types = {(await inbox.take()).routing_key for _ in range(2)}
        await asyncio.to_thread(one.wait_for_http, f"http://127.0.0.1:{port}/metrics")
        for process in (one, two):
            await asyncio.to_thread(process.wait_for_output, "scheduler_ready")
            assert await asyncio.to_thread(process.stop) == 0
    assert types == {"report.daily", "report.hourly"}
    assert inbox.waiting == 0
    await broker.close()


def test_a_module_without_schedules_has_none() -> None:
    assert collect_schedules("event_handlers.handlers.auth") == ()
