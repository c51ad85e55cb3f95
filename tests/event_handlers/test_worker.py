"""What becomes of submissions and events, on each broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from dualrun.broker import Message
from dualrun.contracts import Effect, Outcome, Role, Side, State, headers_of
from dualrun.contracts.topology import (
    EVENTS_EXCHANGE,
    HEADER_DEAD_REASON,
    HEADER_ETA,
    HEADER_EXPIRES,
    HEADER_FLAG_VERSION,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
    RECORDS_QUEUE,
    SHADOW_EXCHANGE,
    dead_letter_queue,
    service_queue,
    shadow_queue,
)
from dualrun.errors import PublishRefused, Unroutable
from event_handlers import Context, DoNotRetry, EventBus, Retry, current_context, handler
from tests.event_handlers.conftest import World
from tests.support.eventually import becomes
from tests.support.inbox import Inbox


def in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def dead_letter(world: World, queue: str) -> tuple[Message, str]:
    """The next message put aside, and why."""
    inbox = Inbox()
    consumer = await world.broker.consume(dead_letter_queue(queue), inbox, prefetch=10)
    delivery = await inbox.take()
    delivery.ack()
    await consumer.cancel()
    return delivery.message, str(delivery.message.headers.get(HEADER_DEAD_REASON))


# --- how it ends ---


async def test_an_outcome_says_what_the_handler_did(world: World) -> None:
    @handler(world.task)
    async def add(x: int, y: Decimal) -> dict[str, object]:
        return {"sum": x + y, "id": UUID(int=1)}

    await world.start(add)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    submission_id = await world.submit(
        {"x": 1, "y": {"__type__": "decimal", "__value__": "0.50"}},
        headers={HEADER_FLAG_VERSION: "7", HEADER_TRACEPARENT: parent, HEADER_SUBMITTED_AT: in_s(-60)},
    )
    outcome = await world.outcome(submission_id)
    assert (outcome.task, outcome.side, outcome.role, outcome.state) == (world.task, Side.EVENTS, Role.AUTHORITY, State.SUCCEEDED)
    assert outcome.value == {
        "sum": {"__type__": "decimal", "__value__": "1.50"},
        "id": {"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000001"}},
    }
    assert (outcome.attempts, outcome.flag_version, outcome.failure) == (1, 7, None)
    assert outcome.queued_ms is not None
    assert 60_000 <= outcome.queued_ms < 75_000
    assert outcome.started_at <= outcome.ended_at
    assert outcome.spans[0].parent_id == "b7ad6b7169203331"


class OutOfStock(Exception):
    pass


async def test_a_failing_handler_is_data(world: World) -> None:
    @handler(world.task)
    async def fail() -> None:
        raise OutOfStock("none left")

    await world.start(fail)
    outcome = await world.outcome(await world.submit({}))
    assert (outcome.state, outcome.attempts) == (State.FAILED, 1)
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.failure.message) == ("OutOfStock", "none left")
    assert outcome.failure.traceback is not None
    assert "in fail" in outcome.failure.traceback
    assert outcome.spans[0].status == "error"


async def test_a_payload_the_handler_does_not_take_yields_an_outcome_and_never_runs(world: World) -> None:
    ran: list[int] = []

    @handler(world.task, max_attempts=3, retry_on=(Exception,))
    async def add(x: int) -> None:
        ran.append(x)

    await world.start(add)
    outcome = await world.outcome(await world.submit({"x": "1"}))
    assert outcome.failure is not None
    assert (outcome.state, outcome.failure.kind, outcome.attempts) == (State.FAILED, "InvalidPayload", 1)
    assert "$.x" in outcome.failure.message
    assert ran == []


async def test_a_value_json_cannot_carry_fails_by_name(world: World) -> None:
    @handler(world.task)
    async def strange() -> object:
        return {1, 2}

    await world.start(strange)
    outcome = await world.outcome(await world.submit({}))
    assert outcome.failure is not None
    assert outcome.failure.kind == "UnserializableValue"


async def test_an_effect_json_cannot_carry_does_not_hold_up_its_outcome(world: World) -> None:
    from dualrun.effects import effect

    @handler(world.task)
    async def strange() -> str:
        effect("note", "\ud800")
        return "done"

    await world.start(strange)
    outcome = await world.outcome(await world.submit({}))
    assert outcome.effects_dropped == 1
    assert outcome.failure is not None
    assert outcome.failure.kind == "UnserializableValue"


@pytest.mark.parametrize("ending", [SystemExit(3), asyncio.CancelledError()])
async def test_no_ending_of_a_handler_ends_the_worker(world: World, ending: BaseException) -> None:
    @handler(world.task)
    async def work(end: bool) -> bool:
        if end:
            raise ending
        return end

    await world.start(work)
    outcome = await world.outcome(await world.submit({"end": True}))
    assert outcome.failure is not None
    assert outcome.failure.kind == type(ending).__name__
    assert (await world.outcome(await world.submit({"end": False}))).state is State.SUCCEEDED


async def test_a_handler_beyond_its_time_limit_is_cancelled_and_fails(world: World) -> None:
    cancelled = asyncio.Event()

    @handler(world.task, time_limit_s=0.05)
    async def slow(ctx: Context) -> None:
        assert ctx.time_left_s is not None
        assert 0 < ctx.time_left_s <= 0.05
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await world.start(slow)
    outcome = await world.outcome(await world.submit({}))
    assert outcome.failure is not None
    assert outcome.failure.kind == "TimeLimitExceeded"
    assert cancelled.is_set()


async def test_a_timeout_of_the_handlers_own_keeps_its_name(world: World) -> None:
    @handler(world.task, time_limit_s=10)
    async def slow() -> None:
        raise TimeoutError("the shop did not answer")

    await world.start(slow)
    outcome = await world.outcome(await world.submit({}))
    assert outcome.failure is not None
    assert outcome.failure.kind == "TimeoutError"


async def test_the_context_says_which_run_this_is(world: World) -> None:
    @handler(world.task)
    async def tell(ctx: Context) -> list[object]:
        assert current_context() is ctx
        return [ctx.submission_id, ctx.task, ctx.role, ctx.attempt, ctx.time_left_s]

    await world.start(tell)
    submission_id = await world.submit({}, role=Role.SHADOW)
    assert (await world.outcome(submission_id)).value == [submission_id, world.task, "shadow", 1, None]


# --- again ---


async def test_retry_asks_for_another_attempt(world: World) -> None:
    @handler(world.task, max_attempts=3)
    async def flaky(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise Retry(delay_s=0.1)
        return ctx.attempt

    worker = await world.start(flaky)
    outcome = await world.outcome(await world.submit({}))
    assert (outcome.state, outcome.value, outcome.attempts) == (State.SUCCEEDED, 3, 3)
    assert worker.counts(Role.AUTHORITY) == {"retried": 2, "handled": 1}


async def test_when_no_attempts_are_left_it_fails_with_the_last_error(world: World) -> None:
    starts: list[float] = []

    @handler(world.task, max_attempts=3, retry_delay_s=(0.1, 0.25), retry_on=(OutOfStock,))
    async def fail(ctx: Context) -> None:
        starts.append(asyncio.get_running_loop().time())
        raise OutOfStock(f"attempt {ctx.attempt}")

    await world.start(fail)
    outcome = await world.outcome(await world.submit({}))
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.failure.message, outcome.attempts) == ("OutOfStock", "attempt 3", 3)
    assert starts[1] - starts[0] >= 0.09
    assert starts[2] - starts[1] >= 0.24


async def test_do_not_retry_ends_it(world: World) -> None:
    @handler(world.task, max_attempts=3, retry_on=(Exception,))
    async def fail() -> None:
        raise DoNotRetry from OutOfStock("none left")

    await world.start(fail)
    outcome = await world.outcome(await world.submit({}))
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.attempts) == ("OutOfStock", 1)


async def test_a_shadow_is_retried_in_the_shadow_lane(world: World) -> None:
    roles: list[Role] = []

    @handler(world.task, max_attempts=2)
    async def flaky(ctx: Context) -> None:
        roles.append(ctx.role)
        if ctx.attempt == 1:
            raise Retry(delay_s=0.1)

    await world.start(flaky)
    outcome = await world.outcome(await world.submit({}, role=Role.SHADOW))
    assert (outcome.role, outcome.attempts) == (Role.SHADOW, 2)
    assert roles == [Role.SHADOW, Role.SHADOW]


# --- later, too late ---


async def test_work_with_an_eta_starts_no_sooner_and_counts_one_attempt(world: World) -> None:
    @handler(world.task)
    async def work() -> None: ...

    worker = await world.start(work)
    eta = datetime.now(UTC) + timedelta(seconds=0.6)
    outcome = await world.outcome(await world.submit({}, headers={HEADER_ETA: eta.isoformat()}))
    assert outcome.started_at >= eta
    assert (outcome.state, outcome.attempts) == (State.SUCCEEDED, 1)
    assert outcome.queued_ms is not None
    assert outcome.queued_ms < 5_000
    assert worker.counts(Role.AUTHORITY)["parked"] >= 1


async def test_parked_work_does_not_take_a_place(world: World) -> None:
    @handler(world.task)
    async def work() -> None: ...

    await world.start(work, concurrency=1, prefetch=1)
    await world.submit({}, headers={HEADER_ETA: in_s(3600)})
    assert (await world.outcome(await world.submit({}))).state is State.SUCCEEDED


async def test_expired_work_is_not_run(world: World) -> None:
    ran = asyncio.Event()

    @handler(world.task)
    async def work() -> None:
        ran.set()

    await world.start(work)
    outcome = await world.outcome(await world.submit({}, headers={HEADER_EXPIRES: in_s(-1)}))
    assert (outcome.state, outcome.failure) == (State.EXPIRED, None)
    assert not ran.is_set()


async def test_work_that_expires_while_parked_is_not_run(world: World) -> None:
    @handler(world.task)
    async def work() -> None: ...

    await world.start(work)
    outcome = await world.outcome(await world.submit({}, headers={HEADER_ETA: in_s(0.4), HEADER_EXPIRES: in_s(0.2)}))
    assert outcome.state is State.EXPIRED


# --- publishing ---


async def test_what_an_authority_publishes_leaves_and_is_noted(world: World) -> None:
    @handler(world.task)
    async def publish(ctx: Context) -> None:
        await ctx.publisher.publish(f"{world.task}.done", {"price": Decimal("1.50")})

    heard: asyncio.Queue[object] = asyncio.Queue()
    bus = EventBus(world.broker, world.service)
    await bus.subscribe([f"{world.task}.*"], lambda event: heard.put(event.payload), queue=f"{world.service}.listener")
    await bus.start()
    await world.start(publish)
    outcome = await world.outcome(await world.submit({}))
    price = {"price": {"__type__": "decimal", "__value__": "1.50"}}
    async with asyncio.timeout(10):
        assert await heard.get() == price
    assert outcome.effects == (Effect(kind="message", key=f"{world.task}.done", payload=price),)
    await bus.stop()


async def test_what_a_shadow_publishes_is_noted_and_does_not_leave(world: World) -> None:
    @handler(world.task)
    async def publish(ctx: Context) -> str:
        return (await ctx.publisher.publish(f"{world.task}.done", {"x": 1})).id

    heard = Inbox()
    bus = EventBus(world.broker, world.service)
    await bus.subscribe([f"{world.task}.*"], _never, queue=f"{world.service}.listener")
    await bus.start()
    await bus.stop()
    await world.start(publish)
    outcome = await world.outcome(await world.submit({}, role=Role.SHADOW))
    assert outcome.state is State.SUCCEEDED
    assert outcome.effects == (Effect(kind="message", key=f"{world.task}.done", payload={"x": 1}, performed=False),)
    assert await world.ready(f"dualrun.events.{world.service}.listener") == 0
    assert heard.waiting == 0


async def _never(event: object) -> None:
    raise AssertionError(event)


async def test_an_event_nobody_takes_is_an_error_unless_that_is_allowed(world: World) -> None:
    await world.start(_anything(world.task))
    publisher = EventBus(world.broker, world.service).publisher
    with pytest.raises(Unroutable):
        await publisher.publish(f"{world.task}.unheard", {})
    event = await publisher.publish(f"{world.task}.unheard", {}, required=False, subject="s", headers={"x-own": "1"})
    assert (event.subject, event.headers["x-own"], event.source) == ("s", "1", f"/{world.service}")


def _anything(task: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    @handler(task)
    async def work() -> None: ...

    return work


# --- ordinary events and dead letters ---


async def test_an_ordinary_event_is_handled_and_yields_no_outcome(world: World) -> None:
    handled: asyncio.Queue[str | None] = asyncio.Queue()

    @handler(world.task)
    async def work(ctx: Context) -> None:
        await handled.put(ctx.submission_id)

    await world.start(work)
    event = world.event({})
    await world.send(event)
    async with asyncio.timeout(10):
        assert await handled.get() is None
    marker = await world.submit({})
    await world.outcome(marker)
    assert not world.has_outcome(event.id)


async def test_an_ordinary_event_that_fails_too_often_is_put_aside_with_its_reason(world: World) -> None:
    @handler(world.task, max_attempts=2, retry_delay_s=0.1, retry_on=(OutOfStock,))
    async def fail() -> None:
        raise OutOfStock("none left")

    await world.start(fail)
    event = world.event({})
    await world.send(event)
    message, reason = await dead_letter(world, service_queue(world.service))
    assert message.message_id == event.id
    assert reason == "failed after 2 attempts: OutOfStock: none left"


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, b"{}", "specversion"),
        (None, b"[1]", "not a JSON object"),
        (None, b"{", "not a JSON object"),
        ({HEADER_ETA: "soon"}, b"{}", HEADER_ETA),
        ({"dualrun-role": "shadow"}, b"{}", "authority lane"),
        ({"dualrun-attempt": "many"}, b"{}", "dualrun-attempt"),
    ],
)
async def test_an_unreadable_message_is_put_aside_and_blocks_nothing(
    world: World, headers: dict[str, str] | None, body: bytes, reason: str
) -> None:
    await world.start(_anything(world.task))
    sent = headers if headers == {} else {**headers_of(world.event({})), **(headers or {})}
    await world.broker.publish(EVENTS_EXCHANGE, world.task, Message(body=body, headers=sent))
    message, why = await dead_letter(world, service_queue(world.service))
    assert message.body == body
    assert why.startswith("unreadable: ")
    assert reason in why
    assert (await world.outcome(await world.submit({}))).state is State.SUCCEEDED


async def test_an_event_without_a_handler_is_put_aside(world: World) -> None:
    await world.start(_anything(world.task))
    event = world.event({}, task=f"{world.task}.other")
    await world.broker.publish("", service_queue(world.service), Message(body=b"{}", headers=headers_of(event)))
    _, reason = await dead_letter(world, service_queue(world.service))
    assert reason == f"no handler for '{world.task}.other'"


async def test_a_message_in_the_shadow_lane_that_is_no_shadow_never_runs(world: World) -> None:
    ran = asyncio.Event()

    @handler(world.task)
    async def work() -> None:
        ran.set()

    await world.start(work)
    await world.send(world.event({}), SHADOW_EXCHANGE)
    _, reason = await dead_letter(world, shadow_queue(world.service))
    assert "shadow lane" in reason
    assert not ran.is_set()


# --- bounds ---


async def test_a_full_shadow_queue_refuses_so_that_shedding_can_be_counted(world: World) -> None:
    worker = await world.start(_anything(world.task), shadow_max_length=3)
    await worker.stop(5)

    async def submit() -> bool:
        try:
            await world.submit({}, role=Role.SHADOW)
        except PublishRefused:
            return False
        return True

    # RabbitMQ may let a few more in before it refuses.
    accepted = [await submit() for _ in range(20)]
    assert accepted[:3] == [True] * 3
    assert not accepted[-1]


async def test_shadows_at_work_take_no_place_from_the_authority(world: World) -> None:
    release = asyncio.Event()

    @handler(world.task)
    async def work(ctx: Context) -> None:
        if ctx.role is Role.SHADOW:
            await release.wait()

    await world.start(work, concurrency=2, shadow_concurrency=2)
    shadows = [await world.submit({}, role=Role.SHADOW) for _ in range(10)]
    authorities = [await world.submit({}) for _ in range(10)]
    assert all(outcome.role is Role.AUTHORITY for outcome in await world.outcomes(authorities))
    release.set()
    assert all(outcome.role is Role.SHADOW for outcome in await world.outcomes(shadows))


async def test_no_more_run_at_a_time_than_allowed(world: World) -> None:
    running = most = 0

    @handler(world.task)
    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    await world.start(work, concurrency=3)
    await world.outcomes([await world.submit({}) for _ in range(30)])
    assert most == 3


# --- outcomes before acks, and the end ---


class Gate:
    """A sink that fails until it is opened."""

    def __init__(self) -> None:
        self.is_open = False
        self.tried = asyncio.Event()
        self.passed = asyncio.Semaphore(0)
        self.outcomes: list[Outcome] = []

    async def append(self, outcomes: Sequence[Outcome]) -> None:
        self.tried.set()
        if not self.is_open:
            raise OSError("no store")
        self.outcomes += outcomes
        for _ in outcomes:
            self.passed.release()


async def test_nothing_is_acked_before_its_outcome_is_durable(world: World) -> None:
    runs = 0

    @handler(world.task)
    async def work() -> None:
        nonlocal runs
        runs += 1

    closed = Gate()
    worker = await world.start(work, sink=closed)
    submission_id = await world.submit({})
    await asyncio.wait_for(closed.tried.wait(), 10)
    await worker.stop(1.0, record_s=0.1)
    await becomes(lambda: world.ready(service_queue(world.service)), 1)

    await world.start(work)
    assert (await world.outcome(submission_id)).state is State.SUCCEEDED
    assert runs == 2


async def test_a_sink_that_fails_for_a_while_loses_and_doubles_nothing(world: World) -> None:
    gate = Gate()
    worker = await world.start(_anything(world.task), sink=gate)
    submitted = [await world.submit({}) for _ in range(5)]
    await asyncio.wait_for(gate.tried.wait(), 10)
    gate.is_open = True
    async with asyncio.timeout(10):
        for _ in submitted:
            await gate.passed.acquire()
    await worker.stop(5.0)
    assert sorted(outcome.submission_id for outcome in gate.outcomes) == sorted(submitted)


async def test_outcomes_travel_together(world: World) -> None:
    await world.start(_anything(world.task))
    submitted = [await world.submit({}) for _ in range(200)]
    outcomes = await world.outcomes(submitted)
    assert len({outcome.submission_id for outcome in outcomes}) == 200
    assert await world.ready(RECORDS_QUEUE) == 0


async def test_a_stop_finishes_what_runs_and_puts_back_what_has_not_begun(world: World) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    @handler(world.task)
    async def work() -> None:
        begun.set()
        await release.wait()

    worker = await world.start(work, concurrency=1)
    submitted = [await world.submit({}) for _ in range(5)]
    await asyncio.wait_for(begun.wait(), 10)
    stopping = asyncio.create_task(worker.stop(10.0))
    await becomes(lambda: world.ready(service_queue(world.service)), 4)
    release.set()
    await stopping
    assert worker.counts(Role.AUTHORITY) == {"handled": 1}

    await world.start(work)
    outcomes = await world.outcomes(submitted)
    assert all(outcome.state is State.SUCCEEDED for outcome in outcomes)
    assert not any(world.has_outcome(submission_id) for submission_id in submitted)


async def test_what_outlasts_the_drain_is_cancelled_and_put_back(world: World) -> None:
    begun = asyncio.Event()
    ended: list[str] = []

    @handler(world.task, max_attempts=5, retry_on=(Exception,))
    async def work(ctx: Context) -> int:
        if not begun.is_set():
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")
        return ctx.attempt

    worker = await world.start(work)
    submission_id = await world.submit({})
    await asyncio.wait_for(begun.wait(), 10)
    await worker.stop(0.05)
    assert ended == ["cancelled"]
    assert not world.has_outcome(submission_id)

    await world.start(work)
    outcome = await world.outcome(submission_id)
    assert (outcome.state, outcome.value) == (State.SUCCEEDED, 1)


async def test_a_struct_returned_is_an_object_in_the_outcome(world: World) -> None:
    class Total(msgspec.Struct):
        amount: Decimal

    @handler(world.task)
    async def work() -> Total:
        return Total(Decimal("2.00"))

    await world.start(work)
    assert (await world.outcome(await world.submit({}))).value == {"amount": {"__type__": "decimal", "__value__": "2.00"}}
