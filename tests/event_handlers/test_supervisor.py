"""`python -m event_handlers --processes 2`: workers that are one service to whoever starts, stops, asks or kills them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts.topology import service_queue
from event_handlers.service_topology import service_topology
from tests.event_handlers.conftest import World
from tests.support.eventually import becomes
from tests.support.processes import Process, free_port

pytestmark = [pytest.mark.services, pytest.mark.e2e]

HANDLERS = """
    import asyncio, os, signal, time
    from event_handlers import handler

    @handler({task!r})
    async def work(number: int, seconds: float = 0.0, die: bool = False) -> list[int]:
        await asyncio.sleep(seconds)
        if die and not os.path.exists({died!r}):
            open({died!r}, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return [number, os.getpid()]

    @handler({task!r} + ".blocking")
    def block(seconds: float) -> None:
        time.sleep(seconds)
"""


class Fleet:
    """Two supervised workers on a handler module in a folder of its own."""

    def __init__(self, world: World, folder: Path, amqp_url: str) -> None:
        self.port = free_port()
        self.module = folder / "fleet_handlers.py"
        self.module.write_text(dedent(HANDLERS).format(task=world.task, died=str(folder / "died")))
        self._world = world
        self._env = {"PYTHONPATH": f"{folder}:{Path.cwd()}", "DUALRUN_AMQP_URL": amqp_url}

    def process(self, *options: str) -> Process:
        command = [sys.executable, "-m", "event_handlers", "--handlers", "fleet_handlers", "--service", self._world.service]
        return Process("fleet", [*command, "--processes", "2", "--metrics-port", str(self.port), *options], env=self._env)

    async def ask(self, path: str) -> tuple[int, str]:
        def asked() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                    return response.status, response.read().decode()
            except urllib.error.HTTPError as exc:
                return exc.code, exc.read().decode()
            except OSError as exc:
                return 0, str(exc)

        return await asyncio.to_thread(asked)

    async def ready(self) -> int:
        return (await self.ask("/readyz"))[0]


@pytest.fixture
async def world(amqp_url: str) -> World:
    opened = World(RabbitBroker(amqp_url, name="test"))
    await opened.open()
    return opened


@pytest.fixture
def fleet(world: World, tmp_path: Path, amqp_url: str) -> Fleet:
    return Fleet(world, tmp_path, amqp_url)


async def test_two_processes_share_the_work_and_answer_as_one(world: World, fleet: Fleet) -> None:
    with fleet.process("--concurrency", "1", "--prefetch", "1") as process:
        await becomes(fleet.ready, 200)
        outcomes = await world.outcomes([await world.submit({"number": number, "seconds": 0.05}) for number in range(20)])
        pids = Counter(pid for _, pid in (_pair(outcome.value) for outcome in outcomes))
        assert len(pids) == 2
        assert {outcome.worker.split(":")[1] for outcome in outcomes} == {str(pid) for pid in pids}

        async def handled() -> list[str]:
            return re.findall(r'result="handled"} (\d+)', (await fleet.ask("/metrics"))[1])

        await becomes(handled, ["20"])
        assert (await fleet.ask("/healthz"))[0] == 200
        assert process.stop() == 0


async def test_one_process_answers_for_itself_and_takes_new_code_too(world: World, fleet: Fleet) -> None:
    with fleet.process("--processes", "1") as process:
        await becomes(fleet.ready, 200)
        pid = _pair((await world.outcome(await world.submit({"number": 1}))).value)[1]
        assert pid == process.pid
        assert 'result="handled"} 1' in (await fleet.ask("/metrics"))[1]
        os.kill(process.pid, signal.SIGHUP)
        await asyncio.to_thread(process.wait_for_output, "event_worker_ready", count=2)
        assert _pair((await world.outcome(await world.submit({"number": 1}))).value)[1] == process.pid
        assert process.stop() == 0


async def test_a_changed_file_is_taken_up_where_asked_for(world: World, fleet: Fleet) -> None:
    with fleet.process("--reload") as process:
        await becomes(fleet.ready, 200)
        fleet.module.write_text(fleet.module.read_text().replace("return [number,", "return [-number,"))
        await asyncio.to_thread(process.wait_for_output, "event_worker_ready", count=4)
        assert _pair((await world.outcome(await world.submit({"number": 1}))).value)[0] == -1
        assert process.stop() == 0


async def test_a_killed_process_is_replaced_and_loses_nothing(world: World, fleet: Fleet) -> None:
    with fleet.process("--concurrency", "2") as process:
        await becomes(fleet.ready, 200)
        submitted = [await world.submit({"number": number, "seconds": 0.1, "die": number == 5}) for number in range(12)]
        outcomes = await world.outcomes(submitted)
        assert {_pair(outcome.value)[0] for outcome in outcomes} == set(range(12))
        await becomes(fleet.ready, 200)
        assert "dualrun_worker_restarts_total" in (await fleet.ask("/metrics"))[1]
        assert "worker_ended" in process.output
        assert process.stop() == 0


async def test_a_signal_to_all_of_them_drains_once(world: World, fleet: Fleet) -> None:
    """As Ctrl-C in a terminal does: the workers must not take the supervisor's word for a second signal."""
    with fleet.process("--drain-s", "10") as process:
        await becomes(fleet.ready, 200)
        submission_id = await world.submit({"number": 1, "seconds": 1.0})
        await becomes(lambda: _running(fleet), True)
        family = psutil.Process(process.pid)
        for member in [family, *family.children()]:
            os.kill(member.pid, signal.SIGINT)
        assert await asyncio.to_thread(process.wait) == 0
    assert world.has_outcome(submission_id) or await world.outcome(submission_id)


async def test_workers_end_when_their_supervisor_is_killed(world: World, fleet: Fleet) -> None:
    with fleet.process() as process:
        await becomes(fleet.ready, 200)
        workers = psutil.Process(process.pid).children()
        await asyncio.to_thread(process.kill)
        gone, left = await asyncio.to_thread(psutil.wait_procs, workers, 15)
        assert (len(gone), left) == (2, [])


async def test_sighup_takes_new_code_and_refuses_code_that_does_not_import(world: World, fleet: Fleet) -> None:
    good = fleet.module.read_text()
    with fleet.process() as process:
        await becomes(fleet.ready, 200)
        first = _pair((await world.outcome(await world.submit({"number": 1}))).value)
        fleet.module.write_text("this is not Python")
        os.kill(process.pid, signal.SIGHUP)
        await asyncio.to_thread(process.wait_for_output, "reload_refused")
        assert await fleet.ready() == 200
        fleet.module.write_text(good.replace("return [number,", "return [-number,"))
        os.kill(process.pid, signal.SIGHUP)
        await asyncio.to_thread(process.wait_for_output, "event_worker_ready", count=4)
        second = _pair((await world.outcome(await world.submit({"number": 1}))).value)
        assert (first[0], second[0]) == (1, -1)
        assert process.stop() == 0


async def test_a_configuration_that_cannot_work_ends_all_of_them(world: World, fleet: Fleet) -> None:
    other = service_topology(world.service, [world.task], shadow_max_length=5)
    await world.broker.declare(other)
    with fleet.process() as process:
        assert await asyncio.to_thread(process.wait) == 2, process.output
        assert "configuration_unusable" in process.output


async def test_a_thread_that_outlasts_the_drain_does_not_hold_up_the_end(world: World, fleet: Fleet) -> None:
    with fleet.process("--drain-s", "0.2") as process:
        await becomes(fleet.ready, 200)
        await world.submit({"seconds": 60.0}, task=f"{world.task}.blocking")
        await becomes(lambda: _running(fleet), True)
        process.terminate()
        assert await asyncio.to_thread(process.wait) == 0
    await becomes(lambda: world.ready(service_queue(world.service)), 1)


async def _running(fleet: Fleet) -> bool:
    return 'dualrun_events_running{service="' in (body := (await fleet.ask("/metrics"))[1]) and 'role="authority"} 1' in body


def _pair(value: object) -> tuple[int, int]:
    assert isinstance(value, list)
    number, pid = value
    return int(number), int(pid)
