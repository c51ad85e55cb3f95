"""Events that are not wanted any more, on each broker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import redis.asyncio

from dualrun.broker.memory import MemoryBroker
from dualrun.contracts import Role, State
from dualrun.contracts.topology import HEADER_ETA, service_queue, shadow_queue
from dualrun.errors import ConfigurationError
from dualrun.inbox import CANCELLED_KEEP_S, Change, ClaimRequest, ClaimState, Verb, claim_key, event_identity
from dualrun.inbox_memory import MemoryInbox
from dualrun.inbox_redis import RedisInbox
from event_handlers import Event, EventBus, handler
from event_handlers.publisher import EventPublisher
from tests.event_handlers.conftest import World


async def test_a_handler_at_work_sees_the_cancellation_and_its_submission_is_revoked(world: World) -> None:
    begun = asyncio.Event()
    seen: list[str] = []

    @handler(world.task)
    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    inbox = MemoryInbox(lease_s=0.3)
    worker = await world.start(work, inbox=inbox)
    submission_id = await world.submit({})
    await asyncio.wait_for(begun.wait(), 10)
    assert await EventBus(world.broker, "other", inbox=inbox).cancel(world.service, submission_id)
    outcome = await world.outcome(submission_id)
    assert (outcome.state, seen) == (State.REVOKED, ["cancelled"])
    assert worker.counts(Role.AUTHORITY)["revoked"] == 1


async def test_what_waits_for_its_time_is_revoked_without_running(world: World) -> None:
    ran = asyncio.Event()

    @handler(world.task)
    async def work() -> None:
        ran.set()

    inbox = MemoryInbox()
    await world.start(work, inbox=inbox)
    eta = datetime.now(UTC) + timedelta(seconds=0.4)
    submission_id = await world.submit({}, headers={HEADER_ETA: eta.isoformat()})
    assert await EventBus(world.broker, "other", inbox=inbox).cancel(world.service, submission_id)
    assert (await world.outcome(submission_id)).state is State.REVOKED
    assert not ran.is_set()


async def test_what_is_done_stays_done_and_others_are_not_touched(world: World) -> None:
    @handler(world.task)
    async def work(number: int) -> int:
        return number

    inbox = MemoryInbox()
    await world.start(work, inbox=inbox)
    done = await world.submit({"number": 1})
    assert (await world.outcome(done)).value == 1
    assert await EventBus(world.broker, "other", inbox=inbox).cancel(world.service, done)
    assert (await world.outcome(await world.submit({"number": 2}))).value == 2
    assert not world.has_outcome(done)


async def test_without_an_inbox_nothing_can_be_cancelled(world: World) -> None:
    with pytest.raises(ConfigurationError, match="inbox"):
        await EventBus(world.broker, "other").cancel(world.service, "1")


async def test_a_shadow_is_cancelled_at_work_and_while_it_waits(world: World) -> None:
    begun = asyncio.Event()
    seen: list[str] = []

    @handler(world.task)
    async def work(name: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(name)
            raise

    inbox = MemoryInbox(lease_s=0.3)
    worker = await world.start(work, inbox=inbox)
    at_work = await world.submit({"name": "at work"}, role=Role.SHADOW)
    await asyncio.wait_for(begun.wait(), 10)
    eta = datetime.now(UTC) + timedelta(seconds=0.4)
    waiting = await world.submit({"name": "waiting"}, role=Role.SHADOW, headers={HEADER_ETA: eta.isoformat()})
    await inbox.change([Change(Verb.CANCEL, claim_key(shadow_queue(world.service), id_)) for id_ in (at_work, waiting)])
    outcomes = await world.outcomes([at_work, waiting])
    assert [(outcome.state, outcome.role) for outcome in outcomes] == [(State.REVOKED, Role.SHADOW)] * 2
    assert seen == ["at work"]
    assert worker.counts(Role.SHADOW)["revoked"] == 2


async def test_a_shadow_is_run_while_the_inbox_is_out_of_reach(world: World) -> None:
    @handler(world.task)
    async def work() -> int:
        return 1

    inbox = RedisInbox("redis://127.0.0.1:1/0", "x:")
    await world.start(work, inbox=inbox)
    assert (await world.outcome(await world.submit({}, role=Role.SHADOW))).value == 1
    await world.close()
    await inbox.close()


@pytest.mark.parametrize("known_by", ["the event", "its id", "its id and source"])
async def test_an_event_is_cancelled_and_one_of_the_same_id_from_elsewhere_is_handled(world: World, known_by: str) -> None:
    handled: asyncio.Queue[str] = asyncio.Queue()

    async def work(event: Event) -> None:
        await handled.put(event.source)

    bus = EventBus(world.broker, world.service, inbox=MemoryInbox())
    await bus.subscribe([world.task], work, queue=world.service)
    await bus.start()
    later = datetime.now(UTC) + timedelta(seconds=0.4)
    ours = known_by == "its id"
    publisher = bus.publisher if ours else EventPublisher(world.broker, "/crm")
    event = await publisher.publish(world.task, {}, event_id="42", not_before=later)
    if known_by == "the event":
        assert await bus.cancel(world.service, event)
    else:
        assert await bus.cancel(world.service, "42", source=None if ours else "/crm")
    await EventPublisher(world.broker, "/elsewhere").publish(world.task, {}, event_id="42", not_before=later + timedelta(seconds=0.3))
    async with asyncio.timeout(30):
        assert await handled.get() == "/elsewhere"
    await bus.stop(5.0)


@pytest.mark.parametrize("known_by", ["the event", "its id"])
async def test_a_cancelled_event_stays_cancelled_until_long_after_its_time(known_by: str) -> None:
    now_s = [0.0]
    inbox, broker = MemoryInbox(clock=lambda: now_s[0]), MemoryBroker()
    await broker.connect()
    bus = EventBus(broker, "shop", inbox=inbox)
    await bus.start()
    ahead_s = 86_400.0 * (300 if known_by == "its id" else 3_000)
    not_before = datetime.now(UTC) + timedelta(seconds=ahead_s)
    event = await bus.publish("order.reminded", {}, not_before=not_before, required=False)
    assert await bus.cancel("reminders", event if known_by == "the event" else event.id)
    now_s[0] += ahead_s + 86_400.0
    key = claim_key(service_queue("reminders"), event_identity("/shop", event.id))
    assert [claim.state for claim in await inbox.claim([ClaimRequest(key, "t", 1)])] == [ClaimState.CANCELLED]
    await broker.close()


@pytest.mark.services
async def test_redis_remembers_for_as_long_as_it_is_told(redis_url: str, redis_prefix: str) -> None:
    inbox, broker = RedisInbox(redis_url, redis_prefix), MemoryBroker()
    assert await EventBus(broker, "shop", inbox=inbox).cancel("reminders", "42")
    async with redis.asyncio.Redis.from_url(redis_url) as store:
        kept_s = await store.ttl(f"{redis_prefix}inbox:{claim_key(service_queue('reminders'), event_identity('/shop', '42'))}")
    assert CANCELLED_KEEP_S - 60 < kept_s <= CANCELLED_KEEP_S
    await inbox.close()
