from __future__ import annotations

import asyncio

import pytest

from dualrun.background import cancelled

pytestmark = pytest.mark.timeout(10)


async def _deaf(times: int, started: asyncio.Event) -> None:
    """As a client of a server that takes a cancellation for a lost connection."""
    started.set()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not times:
                raise
            times -= 1


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_task_that_loses_cancellations_ends_all_the_same(times: int) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(_deaf(times, started))
    await started.wait()
    await cancelled(task, again_s=0.01)
    assert task.cancelled()


async def test_tasks_end_side_by_side_and_those_that_never_began_or_have_failed_are_no_trouble() -> None:
    async def fail() -> None:
        raise ValueError("of its own")

    started = asyncio.Event()
    failed, deaf = asyncio.create_task(fail()), asyncio.create_task(_deaf(1, started))
    await started.wait()
    await cancelled(None, failed, deaf, again_s=0.01)
    assert deaf.cancelled()
    assert isinstance(failed.exception(), ValueError)


async def test_a_task_has_its_time_to_give_back_what_it_holds() -> None:
    given_back = False
    started = asyncio.Event()

    async def hold() -> None:
        nonlocal given_back
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            given_back = True

    task = asyncio.create_task(hold())
    await started.wait()
    await cancelled(task, again_s=5.0)
    assert given_back
