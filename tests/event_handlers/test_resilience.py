"""Calls that are retried, timed, bounded, broken off or replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
import redis

from dualrun.breakers_memory import MemoryBreakerBoard
from dualrun.breakers_redis import RedisBreakerBoard
from dualrun.contracts import Role, State
from event_handlers import Breaker, BreakerState, BulkheadFull, CircuitOpen, NotNow, ResilienceManager, handler
from event_handlers.breaker import breaker_states
from tests.event_handlers.conftest import World


class Service:
    """Fails as often as it is told."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error or ConnectionError("down")

    async def __call__(self, value: int = 1, *, times: int = 1) -> int:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return value * times


async def test_a_call_gets_its_arguments_and_gives_its_result() -> None:
    assert await ResilienceManager().execute_with_resilience("s", Service(0), 2, times=3) == 6


async def test_retries_follow_named_errors_so_many_times() -> None:
    service = Service(3)
    assert await ResilienceManager().execute_with_resilience("s", service, use_retry=True, max_retries=3, retry_delay_s=0.001) == 1
    assert service.calls == 4
    service = Service(3)
    with pytest.raises(ConnectionError):
        await ResilienceManager().execute_with_resilience("s", service, use_retry=True, max_retries=2, retry_delay_s=0.001)
    assert service.calls == 3


@pytest.mark.parametrize(("use_retry", "error"), [(False, ConnectionError()), (True, KeyError())])
async def test_nothing_is_retried_unasked(use_retry: bool, error: Exception) -> None:
    service = Service(1, error)
    with pytest.raises(type(error)):
        await ResilienceManager().execute_with_resilience("s", service, use_retry=use_retry)
    assert service.calls == 1


async def test_a_call_beyond_its_time_is_ended_and_may_be_retried() -> None:
    calls = 0

    async def slow() -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        return calls

    manager = ResilienceManager()
    assert await manager.execute_with_resilience("s", slow, timeout_s=0.02, use_retry=True, retry_delay_s=0.001) == 2


async def test_a_full_bulkhead_turns_the_next_call_away_at_once() -> None:
    manager, release = ResilienceManager(), asyncio.Event()
    under_way = [asyncio.create_task(manager.execute_with_resilience("s", release.wait, max_concurrent=2)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BulkheadFull):
        await manager.execute_with_resilience("s", release.wait, max_concurrent=2)
    assert await manager.execute_with_resilience("other", Service(0), max_concurrent=1) == 1
    release.set()
    assert await asyncio.gather(*under_way) == [True, True]
    assert await manager.execute_with_resilience("s", Service(0), max_concurrent=2) == 1


async def test_an_open_circuit_spares_the_service_and_closes_when_it_is_back() -> None:
    now_s = 0.0
    manager, service = ResilienceManager(clock=lambda: now_s), Service(3)
    breaker = Breaker(failures=3, reset_s=10.0)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await manager.execute_with_resilience("s", service, breaker=breaker)
    with pytest.raises(CircuitOpen) as caught:
        await manager.execute_with_resilience("s", service, breaker=breaker, use_retry=True)
    assert (service.calls, caught.value.delay_s) == (3, 10.0)
    assert manager.states() == {"s": BreakerState.OPEN}
    now_s = 10.0
    assert await manager.execute_with_resilience("s", service, breaker=breaker) == 1
    assert manager.states() == {"s": BreakerState.CLOSED}


async def test_a_service_that_answers_with_an_error_is_there() -> None:
    manager, service = ResilienceManager(), Service(9, KeyError("no such order"))
    for _ in range(9):
        with pytest.raises(KeyError):
            await manager.execute_with_resilience("s", service, breaker=Breaker(failures=3))
    assert manager.states() == {"s": BreakerState.CLOSED}


async def test_a_fallback_gets_the_last_error() -> None:
    async def fallback(error: Exception) -> int:
        assert isinstance(error, ConnectionError)
        return -1

    manager = ResilienceManager()
    answer = await manager.execute_with_resilience("s", Service(9), use_retry=True, retry_delay_s=0.001, fallback=fallback)
    assert answer == -1


async def test_cancelling_is_neither_retried_nor_replaced() -> None:
    async def fallback(error: Exception) -> bool:
        raise AssertionError(error)

    manager, begun = ResilienceManager(), asyncio.Event()

    async def wait() -> bool:
        begun.set()
        return await asyncio.Event().wait()

    task = asyncio.create_task(manager.execute_with_resilience("s", wait, use_retry=True, fallback=fallback, breaker=Breaker()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_circuit_that_opens_in_one_process_is_open_in_all() -> None:
    now_s = 0.0
    board, breaker = MemoryBreakerBoard("shop", clock=lambda: now_s), Breaker(failures=1, reset_s=10.0)
    first, second = (ResilienceManager(board, clock=lambda: now_s) for _ in range(2))
    with pytest.raises(ConnectionError):
        await first.execute_with_resilience("s", Service(1), breaker=breaker)
    with pytest.raises(CircuitOpen):
        await second.execute_with_resilience("s", Service(0), breaker=breaker)
    now_s = 10.0
    assert await second.execute_with_resilience("s", Service(0), breaker=breaker) == 1
    assert await first.execute_with_resilience("s", Service(0), breaker=breaker) == 1
    assert first.states() == second.states() == {"s": BreakerState.CLOSED}


async def test_failures_of_all_processes_count_together_and_a_success_in_any_ends_the_row() -> None:
    board, breaker = MemoryBreakerBoard("shop"), Breaker(failures=4)
    processes = [ResilienceManager(board) for _ in range(2)]
    for process in processes * 2:
        with pytest.raises(ConnectionError):
            await process.execute_with_resilience("s", Service(1), breaker=breaker)
    with pytest.raises(CircuitOpen):
        await processes[0].execute_with_resilience("s", Service(0), breaker=breaker)
    for process in processes:
        with pytest.raises(ConnectionError):
            await process.execute_with_resilience("other", Service(1), breaker=breaker)
    assert await processes[0].execute_with_resilience("other", Service(0), breaker=breaker) == 1
    for process in processes:
        with pytest.raises(ConnectionError):
            await process.execute_with_resilience("other", Service(1), breaker=breaker)
    assert [(shown.name, shown.state, shown.failures) for shown in await board.read()] == [("other", "closed", 2), ("s", "open", 4)]


async def test_of_all_processes_one_tries_whether_it_is_back() -> None:
    now_s = 0.0
    board, breaker = MemoryBreakerBoard("shop", clock=lambda: now_s), Breaker(failures=1, reset_s=10.0)
    first, second = (ResilienceManager(board, clock=lambda: now_s) for _ in range(2))
    with pytest.raises(ConnectionError):
        await first.execute_with_resilience("s", Service(1), breaker=breaker)
    now_s = 11.0
    answer, asked = asyncio.Event(), asyncio.Event()

    async def slow() -> bool:
        asked.set()
        return await answer.wait()

    trial = asyncio.create_task(first.execute_with_resilience("s", slow, breaker=breaker))
    await asked.wait()
    with pytest.raises(CircuitOpen):
        await second.execute_with_resilience("s", Service(0), breaker=breaker)
    answer.set()
    assert await trial
    now_s = 12.0
    assert await second.execute_with_resilience("s", Service(0), breaker=breaker) == 1


async def test_a_board_out_of_reach_leaves_the_processs_own_circuit() -> None:
    board = RedisBreakerBoard("redis://127.0.0.1:1/0", "x:", "shop")
    manager = ResilienceManager(board)
    with pytest.raises(ConnectionError):
        await manager.execute_with_resilience("s", Service(1), breaker=Breaker(failures=1))
    with pytest.raises(CircuitOpen):
        await manager.execute_with_resilience("s", Service(1), breaker=Breaker(failures=1))
    await board.close()


# --- in a handler ---


@pytest.mark.parametrize("make", [lambda: NotNow(0.1), lambda: CircuitOpen("bank", 0.1)])
async def test_an_event_that_cannot_be_handled_now_comes_again_without_an_attempt_counted(world: World, make: Callable[[], NotNow]) -> None:
    runs = 0

    @handler(world.task)
    async def work() -> int:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise make()
        return runs

    worker = await world.start(work)
    outcome = await world.outcome(await world.submit({}))
    assert (outcome.state, outcome.value, outcome.attempts) == (State.SUCCEEDED, 4, 1)
    assert worker.counts(Role.AUTHORITY) == {"deferred": 3, "handled": 1}


async def test_circuits_are_in_the_workers_metrics(world: World) -> None:
    manager = ResilienceManager()
    with pytest.raises(ConnectionError):
        await manager.execute_with_resilience(world.task, Service(1), breaker=Breaker(failures=1))

    @handler(world.task)
    async def work() -> None: ...

    worker = await world.start(work)
    assert worker.report().breakers[world.task] == BreakerState.OPEN == breaker_states()[world.task]


async def test_a_handler_that_keeps_failing_is_left_in_peace_and_its_events_wait(world: World) -> None:
    is_down, runs = True, 0

    @handler(world.task, max_attempts=2, retry_delay_s=0.1, retry_on=(ConnectionError,), breaker=Breaker(failures=2, reset_s=3.0))
    async def work(number: int) -> int:
        nonlocal runs
        runs += 1
        if is_down:
            raise ConnectionError("down")
        return number

    board = MemoryBreakerBoard(world.service)
    worker = await world.start(work, breakers=board)
    failed = await world.outcome(await world.submit({"number": 0}))
    assert (failed.state, failed.attempts, runs) == (State.FAILED, 2, 2)
    assert worker.report().breakers[world.task] == BreakerState.OPEN
    assert [(shown.service, shown.name, shown.state) for shown in await board.read()] == [(world.service, world.task, "open")]
    is_down = False
    outcomes = await world.outcomes([await world.submit({"number": number}) for number in range(1, 4)])
    assert [(outcome.value, outcome.attempts) for outcome in outcomes] == [(1, 1), (2, 1), (3, 1)]
    assert worker.counts(Role.AUTHORITY)["deferred"] >= 3


async def test_a_payload_that_does_not_fit_says_nothing_of_what_the_handler_calls(world: World) -> None:
    @handler(world.task, max_attempts=1, retry_on=(ConnectionError,), breaker=Breaker(failures=3, reset_s=60.0))
    async def work(number: int) -> int:
        raise ConnectionError("down")

    worker = await world.start(work)
    for number in range(3):
        await world.outcome(await world.submit({"number": "not one"}))
        await world.outcome(await world.submit({"number": number}))
    assert worker.report().breakers[world.task] == BreakerState.OPEN


async def test_a_call_that_was_never_made_leaves_the_trial_to_the_next() -> None:
    manager, now_s, breaker = ResilienceManager(clock=lambda: now_s), 0.0, Breaker(failures=1, reset_s=10.0)
    holding, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        holding.set()
        await release.wait()

    async def fail() -> None:
        raise ConnectionError("down")

    async def well() -> int:
        return 1

    held = asyncio.create_task(manager.execute_with_resilience("bank", hold, max_concurrent=1))
    await holding.wait()
    with pytest.raises(ConnectionError):
        await manager.execute_with_resilience("bank", fail, breaker=breaker)
    now_s = 11.0
    with pytest.raises(BulkheadFull):
        await manager.execute_with_resilience("bank", well, breaker=breaker, max_concurrent=1)
    release.set()
    await held
    assert await manager.execute_with_resilience("bank", well, breaker=breaker, max_concurrent=1) == 1


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("gone"), httpx.ReadTimeout("late"), redis.exceptions.ConnectionError("gone")], ids=repr
)
async def test_lost_connections_of_the_clients_in_use_are_tried_again(error: Exception) -> None:
    calls = 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise error
        return calls

    assert await ResilienceManager().execute_with_resilience("bank", call, use_retry=True, retry_delay_s=0.001) == 3


async def test_an_answer_is_no_lost_connection() -> None:
    request = httpx.Request("GET", "http://bank")
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise httpx.HTTPStatusError("no", request=request, response=httpx.Response(404, request=request))

    with pytest.raises(httpx.HTTPStatusError):
        await ResilienceManager().execute_with_resilience("bank", call, use_retry=True, retry_delay_s=0.001)
    assert calls == 1


async def test_a_shadow_neither_opens_a_circuit_nor_meets_an_open_one_nor_fills_a_bulkhead(world: World) -> None:
    manager, is_down = ResilienceManager(), True
    entered, release = asyncio.Event(), asyncio.Event()

    async def call() -> int:
        if is_down:
            raise ConnectionError("down")
        entered.set()
        await release.wait()
        return 1

    @handler(world.task, retry_on=(ConnectionError,), breaker=Breaker(failures=1))
    async def work() -> int:
        return await manager.execute_with_resilience(world.task, call, breaker=Breaker(failures=1), max_concurrent=1)

    board = MemoryBreakerBoard(world.service)
    worker = await world.start(work, breakers=board)
    assert (await world.outcome(await world.submit({}, role=Role.SHADOW))).state is State.FAILED
    assert (worker.report().breakers.get(world.task, 0), await board.read()) == (BreakerState.CLOSED, [])
    is_down = False
    shadow = await world.submit({}, role=Role.SHADOW)
    await asyncio.wait_for(entered.wait(), 10)
    entered.clear()
    authority = await world.submit({})
    await asyncio.wait_for(entered.wait(), 10)
    release.set()
    assert [outcome.value for outcome in await world.outcomes([shadow, authority])] == [1, 1]
