"""How a run ends, and what its outcome says, on each broker."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from dualrun.contracts import GeneratedKey, Role, Side, State
from dualrun.contracts.topology import (
    HEADER_FLAG_VERSION,
    HEADER_RETRY_DELAYS,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
)
from dualrun.effects import install
from event_handlers import Context, current_context, handler
from tests.event_handlers.conftest import World, any_handler


def in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


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


async def test_an_outcome_tells_the_keys_the_database_gave(world: World, tmp_path: Path) -> None:
    @handler(world.task)
    async def create() -> int | None:
        with contextlib.closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
            connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT)")
            connection.execute("INSERT INTO orders VALUES (41, 'old')")
            cursor = connection.execute("INSERT INTO orders (status) VALUES ('new')")
            connection.commit()
            return cursor.lastrowid

    install()
    await world.start(create)
    outcome = await world.outcome(await world.submit({}))
    assert (outcome.value, outcome.generated) == (42, (GeneratedKey(name="orders#1", value="42"),))


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


async def test_a_struct_returned_is_an_object_in_the_outcome(world: World) -> None:
    class Total(msgspec.Struct):
        amount: Decimal

    @handler(world.task)
    async def work() -> Total:
        return Total(Decimal("2.00"))

    await world.start(work)
    assert (await world.outcome(await world.submit({}))).value == {"amount": {"__type__": "decimal", "__value__": "2.00"}}


@pytest.mark.parametrize("header", ["inf", "1.0,-inf", "nan", "soon"])
async def test_delays_that_nobody_can_have_waited_are_not_told_and_the_outcome_can_be_read(world: World, header: str) -> None:
    await world.start(any_handler(world.task))
    submission_id = await world.submit({}, headers={HEADER_RETRY_DELAYS: header})
    assert (await world.outcome(submission_id)).retry_delays_s == ()
