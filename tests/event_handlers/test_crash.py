"""SIGKILL to a real worker at its worst moments: what is completed happens once, what is not is done by the next."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent

import pytest

from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts import State
from event_handlers.service_topology import service_topology
from tests.event_handlers.conftest import World
from tests.support.processes import Process

pytestmark = [pytest.mark.services, pytest.mark.e2e]

HANDLERS = """
    import asyncio, os, pathlib, signal
    from event_handlers import handler
    from event_handlers.recorder import BrokerOutcomeSink

    folder = pathlib.Path({folder!r})
    send = BrokerOutcomeSink.append

    dying = asyncio.Event()

    async def die_after(self, outcomes):
        dying.set()
        if {moment!r} == "recorded":
            await send(self, outcomes)
        os.kill(os.getpid(), signal.SIGKILL)

    if not (folder / "crashed").exists():
        (folder / "crashed").touch()
        if {moment!r} != "running":
            BrokerOutcomeSink.append = die_after

    @handler({task!r}, on_inbox_away="wait")
    async def work(number: int) -> int:
        if dying.is_set():
            await asyncio.Event().wait()
        with (folder / "effects").open("a") as effects:
            effects.write(f"{{number}}\\n")
        if {moment!r} == "running" and not (folder / "interrupted").exists():
            (folder / "interrupted").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * 2
"""


@pytest.fixture
async def world(amqp_url: str) -> AsyncIterator[World]:
    opened = World(RabbitBroker(amqp_url, name="test"))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def env(tmp_path: Path, amqp_url: str, redis_url: str, redis_prefix: str) -> dict[str, str]:
    redis = {"DUALRUN_REDIS_URL": redis_url, "DUALRUN_REDIS_PREFIX": redis_prefix, "DUALRUN_CLAIM_LEASE_S": "1"}
    return {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "DUALRUN_AMQP_URL": amqp_url, **redis}


@pytest.mark.parametrize("moment", ["completed", "recorded"])
async def test_effects_of_completed_submissions_happen_once(world: World, env: dict[str, str], tmp_path: Path, moment: str) -> None:
    effects = await crash_and_go_on(world, env, tmp_path, moment)
    assert effects == Counter(range(20))


async def test_what_a_crash_interrupted_is_run_by_the_next_worker(world: World, env: dict[str, str], tmp_path: Path) -> None:
    effects = await crash_and_go_on(world, env, tmp_path, "running")
    assert effects == Counter(range(20)) + Counter([interrupted(effects)])


def interrupted(effects: Counter[int]) -> int:
    """The one submission that was begun twice."""
    return max(effects, key=lambda number: effects[number])


async def crash_and_go_on(world: World, env: dict[str, str], folder: Path, moment: str) -> Counter[int]:
    """Twenty submissions to a worker that kills itself at that moment, and then to another; the effects of both."""
    (folder / "crash_handlers.py").write_text(dedent(HANDLERS).format(folder=str(folder), moment=moment, task=world.task))
    await world.broker.declare(service_topology(world.service, [world.task]))
    submitted = [await world.submit({"number": number}) for number in range(20)]
    command = [sys.executable, "-m", "event_handlers", "--handlers", "crash_handlers", "--service", world.service, "--concurrency", "1"]
    with Process("event worker", command, env=env) as worker:
        assert await asyncio.to_thread(worker.wait) < 0
        worker.start()
        outcomes = await world.outcomes(submitted)
        assert worker.stop() == 0
    assert [(outcome.state, outcome.value, outcome.attempts) for outcome in outcomes] == [
        (State.SUCCEEDED, number * 2, 1) for number in range(20)
    ]
    return Counter(int(line) for line in (folder / "effects").read_text().split())
