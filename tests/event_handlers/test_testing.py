"""The bench for handlers under test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import pytest

from dualrun.contracts import State
from dualrun.contracts.topology import HEADER_ETA
from dualrun.effects import effect
from dualrun.errors import ConfigurationError
from event_handlers import Breaker, Context, Retry, dependency, handler
from event_handlers.testing import open_bench


class Bank:
    name = "real"


opened: list[str] = []


@dependency
async def bank() -> AsyncIterator[Bank]:
    opened.append("bank")
    yield Bank()


@handler("payment.charge", max_attempts=4, retry_delay_s=(60, 3600), retry_on=(ConnectionError,))
async def charge(amount: Decimal, *, to: Annotated[Bank, bank], ctx: Context) -> dict[str, object]:
    if ctx.attempt < 3:
        raise ConnectionError("no line")
    if effect("charge", to.name, {"amount": str(amount)}):
        to.name = "charged for real"
    return {"attempt": ctx.attempt, "at": datetime.now(UTC)}


@handler("order.paid")
async def note(order: int, *, ctx: Context) -> None:
    if order < 0:
        raise ValueError("no such order")
    await ctx.publisher.publish("order.noted", {"order": order})


heard: list[tuple[int, datetime]] = []


@handler("order.noted")
async def hear(order: int) -> None:
    heard.append((order, datetime.now(UTC)))


NOW = datetime(2030, 2, 3, 4, 5, 6, tzinfo=UTC)


async def test_a_run_jumps_over_the_waits_of_its_retries_and_captures_effects() -> None:
    fake = Bank()
    async with open_bench([charge], given={bank: fake}, now=NOW) as bench:
        run = await bench.run("payment.charge", {"amount": Decimal("9.90")})
    assert (run.state, run.attempts, fake.name) == (State.SUCCEEDED, 3, "real")
    assert [(made.kind, made.payload, made.performed) for made in run.effects] == [("charge", {"amount": "9.90"}, False)]
    assert run.started_at == NOW + timedelta(seconds=60 + 3600)
    assert opened == []


async def test_effects_can_be_performed() -> None:
    fake = Bank()
    async with open_bench([charge], given={bank: fake}) as bench:
        run = await bench.run("payment.charge", {"amount": Decimal(1)}, perform=True)
    assert run.effects[0].performed
    assert fake.name == "charged for real"


async def test_the_clock_stands_still_until_it_is_moved() -> None:
    heard.clear()
    async with open_bench([hear], now=NOW) as bench:
        await bench.publisher.publish("order.noted", {"order": 1}, not_before=NOW + timedelta(days=30))
        await bench.publisher.publish("order.noted", {"order": 2})
        await bench.settle()
        assert heard == [(2, NOW)]
        await bench.advance(29 * 24 * 3600)
        assert len(heard) == 1
        await bench.advance(24 * 3600)
        assert heard[1] == (1, NOW + timedelta(days=30))
    assert datetime.now(UTC) < NOW


async def test_handlers_reach_one_another_only_where_effects_are_performed() -> None:
    heard.clear()
    async with open_bench(__name__, given={bank: Bank()}) as bench:
        captured = await bench.run("order.paid", {"order": 1})
        await bench.run("order.paid", {"order": 2}, perform=True)
        await bench.settle()
    assert [made.key for made in captured.effects] == ["order.noted"]
    assert [order for order, _ in heard] == [2]


async def test_an_event_that_fails_is_found_among_the_dead_letters() -> None:
    async with open_bench([note]) as bench:
        await bench.publisher.publish("order.paid", {"order": -1})
        await bench.settle()
        assert [letter.reason for letter in bench.dead_letters] == ["failed after 1 attempt: ValueError: no such order"]


async def test_work_with_an_eta_is_run_at_its_time() -> None:
    async with open_bench([note], now=NOW) as bench:
        run = await bench.run("order.paid", {"order": 1}, headers={HEADER_ETA: (NOW + timedelta(hours=5)).isoformat()})
    assert run.started_at == NOW + timedelta(hours=5)


async def test_what_asks_again_for_ever_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("event_handlers.testing._JUMPS_MAX", 5)

    @handler("endless", max_attempts=1000)
    async def endless() -> None:
        raise Retry(delay_s=1)

    async with open_bench([endless]) as bench:
        with pytest.raises(AssertionError, match="did not end"):
            await bench.run("endless", {})


async def test_what_is_no_handler_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="@handler"):
        async with open_bench([print]):
            pass


async def test_an_open_circuit_is_waited_for_by_the_clock_of_the_bench() -> None:
    runs: list[datetime] = []

    @handler("bank.ask", max_attempts=3, retry_delay_s=1.0, retry_on=(ConnectionError,), breaker=Breaker(failures=2, reset_s=600.0))
    async def ask() -> int:
        runs.append(datetime.now(UTC))
        if len(runs) < 3:
            raise ConnectionError("down")
        return len(runs)

    async with open_bench([ask]) as bench:
        outcome = await bench.run("bank.ask", {}, perform=True)
    assert (outcome.value, outcome.attempts) == (3, 3)
    assert 599.9 < (runs[2] - runs[1]).total_seconds() < 602.0
