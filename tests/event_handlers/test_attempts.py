"""What is tried again, what waits, and what comes too late, on each broker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dualrun.contracts import Role, State
from dualrun.contracts.topology import (
    HEADER_ETA,
    HEADER_EXPIRES,
)
from event_handlers import Context, DoNotRetry, Retry, handler
from tests.event_handlers.conftest import World


def in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


class OutOfStock(Exception):
    pass


async def test_an_outcome_tells_what_jitter_drew_the_delays_of_its_retries_from(world: World) -> None:
    @handler(world.task, max_attempts=3, retry_delay_s=(0.2, 0.4), retry_jitter=True, retry_on=(OutOfStock,))
    async def flaky(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise OutOfStock
        return ctx.attempt

    await world.start(flaky)
    outcome = await world.outcome(await world.submit({}))
    assert outcome.retry_within_s == (0.2, 0.4)
    assert all(delay_s <= at_most_s for delay_s, at_most_s in zip(outcome.retry_delays_s, outcome.retry_within_s, strict=True))


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


@pytest.mark.parametrize("delay_s", [1e13, float("inf"), "tomorrow"])
async def test_a_delay_that_cannot_be_meant_fails_its_attempt_and_does_nothing_twice(world: World, delay_s: Any) -> None:
    runs: list[int] = []

    @handler(world.task, max_attempts=3)
    async def work() -> None:
        runs.append(1)
        raise Retry(delay_s=delay_s)

    await world.start(work)
    outcome = await world.outcome(await world.submit({}))
    assert outcome.failure is not None
    assert (outcome.state, outcome.failure.kind in {"ValueError", "TypeError"}, runs) == (State.FAILED, True, [1])
