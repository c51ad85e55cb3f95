"""How much runs at a time, what is acked when, and how a worker stops, on each broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dualrun.contracts import Outcome, Role, State
from dualrun.contracts.topology import (
    RECORDS_QUEUE,
    service_queue,
)
from dualrun.errors import PublishRefused
from event_handlers import Context, handler
from tests.event_handlers.conftest import World, any_handler
from tests.support.eventually import becomes


async def test_a_full_shadow_queue_refuses_so_that_shedding_can_be_counted(world: World) -> None:
    worker = await world.start(any_handler(world.task), shadow_max_length=3)
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
    worker = await world.start(any_handler(world.task), sink=gate)
    submitted = [await world.submit({}) for _ in range(5)]
    await asyncio.wait_for(gate.tried.wait(), 10)
    gate.is_open = True
    async with asyncio.timeout(30):
        for _ in submitted:
            await gate.passed.acquire()
    await worker.stop(5.0)
    assert sorted(outcome.submission_id for outcome in gate.outcomes) == sorted(submitted)


async def test_outcomes_travel_together(world: World) -> None:
    await world.start(any_handler(world.task))
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
