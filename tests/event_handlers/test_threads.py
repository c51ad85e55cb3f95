"""Handlers written as plain functions."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dualrun.contracts import State
from dualrun.effects import current_execution, effect
from dualrun.errors import ConfigurationError
from event_handlers import Context, current_context, handler
from event_handlers.threads import HandlerThreads
from tests.event_handlers.conftest import World
from tests.support.eventually import becomes


async def test_a_plain_function_runs_in_a_thread_with_the_context_of_its_run(world: World) -> None:
    @handler(world.task)
    def work(number: int, *, ctx: Context) -> dict[str, object]:
        effect("note", "counted", number)
        run = current_execution()
        return {
            "in a thread": threading.current_thread() is not threading.main_thread(),
            "same run": current_context() is ctx and run is not None and run.submission_id == ctx.submission_id,
        }

    await world.start(work)
    outcome = await world.outcome(await world.submit({"number": 1}))
    assert (outcome.state, outcome.value) == (State.SUCCEEDED, {"in a thread": True, "same run": True})
    assert [noted.key for noted in outcome.effects] == ["counted"]


async def test_a_plain_function_that_fails_or_takes_too_long_is_a_failure(world: World) -> None:
    release = threading.Event()

    @handler(world.task, time_limit_s=0.2)
    def work(number: int) -> None:
        if number:
            raise LookupError("no such number")
        release.wait(10)

    await world.start(work)
    failed, late = await world.outcomes([await world.submit({"number": 1}), await world.submit({"number": 0})])
    release.set()
    assert failed.failure is not None
    assert failed.failure.kind == "LookupError"
    assert late.failure is not None
    assert late.failure.kind == "TimeLimitExceeded"


async def test_threads_are_bounded_and_counted_until_they_end() -> None:
    threads, release = HandlerThreads(2), threading.Event()
    running = [asyncio.create_task(threads.run(release.wait, {"timeout": 10})) for _ in range(3)]

    async def busy() -> int:
        return threads.busy

    await becomes(busy, 2)
    running[0].cancel()
    await asyncio.wait(running[:1])
    assert threads.busy == 2, "a thread that nobody waits for any more is still at work"
    release.set()
    assert await asyncio.gather(*running[1:]) == [True, True]
    await becomes(busy, 0)


def test_what_returns_no_result_is_no_handler() -> None:
    def generates() -> object:
        yield 1

    async def generates_too() -> object:
        yield 1

    for wrong in (generates, generates_too, len):
        with pytest.raises(ConfigurationError, match="no function that returns its result"):
            handler("a.b")(wrong)
