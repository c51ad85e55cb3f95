"""Two services with a handler for one task, on each broker."""

from __future__ import annotations

import asyncio

import pytest

from dualrun.contracts import Role
from dualrun.contracts.topology import HEADER_SERVICE
from event_handlers import EventWorker, HandlerRegistry, handler
from event_handlers.definition import handler_of
from tests.event_handlers.conftest import World


class Two:
    """Two services, and which of them ran what."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ran: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.other = f"{world.service}other"
        self.workers: dict[str, EventWorker] = {}

    async def start(self) -> None:
        for service in (self.world.service, self.other):
            self.workers[service] = await self._start(service)

    async def _start(self, service: str) -> EventWorker:
        @handler(self.world.task)
        async def work(number: int) -> None:
            self.ran.put_nowait((service, number))

        defined = handler_of(work)
        assert defined is not None
        worker = EventWorker(self.world.broker, HandlerRegistry([defined]), service=service)
        await worker.start()
        return worker

    async def stop(self) -> None:
        for worker in self.workers.values():
            await worker.stop(5.0)


@pytest.mark.parametrize("role", Role)
async def test_a_submission_is_run_by_the_service_it_names_alone(world: World, role: Role) -> None:
    two = Two(world)
    await two.start()
    ids = [await world.submit({"number": number}, role=role, headers={HEADER_SERVICE: world.service}) for number in range(3)]
    await world.outcomes(ids)
    # The other one has seen all three when it has run what follows them.
    await world.outcome(await world.submit({"number": 9}, role=role, headers={HEADER_SERVICE: two.other}))
    await two.stop()
    assert sorted(two.ran.get_nowait() for _ in range(two.ran.qsize())) == [(world.service, n) for n in range(3)] + [(two.other, 9)]
    assert two.workers[two.other].counts(role) == {"left": 3, "handled": 1}


async def test_an_event_that_nobody_submitted_is_handled_by_both(world: World) -> None:
    two = Two(world)
    await two.start()
    await world.send(world.event({"number": 1}))
    async with asyncio.timeout(30):
        assert sorted([await two.ran.get(), await two.ran.get()]) == [(world.service, 1), (two.other, 1)]
    await two.stop()
