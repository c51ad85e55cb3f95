"""What every catalogue does with what workers announce."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from dualrun.announce import Announcer, Heartbeat
from dualrun.announce_redis import RedisAnnouncer
from dualrun.contracts import Announcement, Parameter, ServedTask, Side
from gateway.catalogue import MemoryCatalogue, RedisCatalogue
from gateway.core.ports import Catalogue


class World:
    """A catalogue and the announcer whose words it hears."""

    def __init__(self, catalogue: Catalogue, announcer: Announcer) -> None:
        self.catalogue = catalogue
        self.announcer = announcer

    async def announce(self, announcement: Announcement) -> None:
        await asyncio.to_thread(self.announcer.announce, announcement)

    async def withdraw(self, announcement: Announcement) -> None:
        await asyncio.to_thread(self.announcer.withdraw, announcement)

    async def until(self, holds: Callable[[Catalogue], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds(self.catalogue):  # noqa: ASYNC110 - a catalogue tells nobody that it changed
                await asyncio.sleep(0.005)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        memory = MemoryCatalogue()
        yield World(memory, memory)
        return
    url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix")
    announcer, catalogue = RedisAnnouncer(url, prefix), RedisCatalogue(url, prefix)
    await catalogue.start()
    yield World(catalogue, announcer)
    await catalogue.stop()
    announcer.close()


def an_announcement(*tasks: str, side: Side = Side.EVENTS, worker: str = "a:1", ttl_s: float = 30.0, exchange: str = "") -> Announcement:
    served = tuple(
        ServedTask(task=task, parameters=(Parameter(name="order_id"),), schema={"type": "object"}, exchange=exchange, routing_key=task)
        for task in tasks
    )
    return Announcement(worker=worker, side=side, service="shop", tasks=served, ttl_s=ttl_s)


async def test_nothing_is_served_before_anybody_announces(world: World) -> None:
    assert world.catalogue.served_by("cart.add") == {}
    assert list(world.catalogue.names()) == []
    assert world.catalogue.live_workers(Side.EVENTS, "cart.add") == 0


async def test_a_task_is_served_as_it_was_announced(world: World) -> None:
    said = an_announcement("cart.add", "cart.clear")
    await world.announce(said)
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 1)
    assert world.catalogue.served_by("cart.add") == {Side.EVENTS: said.tasks[0]}
    assert set(world.catalogue.names()) == {"cart.add", "cart.clear"}


async def test_the_sides_are_kept_apart(world: World) -> None:
    await world.announce(an_announcement("cart.add", side=Side.EVENTS))
    await world.announce(an_announcement("cart.add", side=Side.LEGACY))
    await world.until(lambda catalogue: len(catalogue.served_by("cart.add")) == 2)
    assert world.catalogue.live_workers(Side.LEGACY, "cart.add") == 1


async def test_a_changed_task_replaces_what_was_known(world: World) -> None:
    await world.announce(an_announcement("cart.add"))
    await world.announce(an_announcement("cart.add", exchange="elsewhere"))
    await world.until(lambda catalogue: getattr(catalogue.served_by("cart.add").get(Side.EVENTS), "exchange", None) == "elsewhere")
    assert world.catalogue.live_workers(Side.EVENTS, "cart.add") == 1


async def test_tasks_stay_known_when_their_worker_withdraws(world: World) -> None:
    said = an_announcement("cart.add")
    await world.announce(said)
    await world.announce(an_announcement("cart.add", worker="b:2"))
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 2)
    await world.withdraw(said)
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 1)
    assert Side.EVENTS in world.catalogue.served_by("cart.add")


async def test_a_silent_worker_counts_as_gone_after_its_time(world: World) -> None:
    await world.announce(an_announcement("cart.add", ttl_s=0.5))
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 1)
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 0)
    assert list(world.catalogue.names()) == ["cart.add"]


async def test_a_heartbeat_keeps_a_worker_alive_and_withdraws_it_at_the_end(world: World) -> None:
    beats = 0
    enough = threading.Event()

    class Counting:
        def announce(self, announcement: Announcement) -> None:
            nonlocal beats
            world.announcer.announce(announcement)
            beats += 1
            if beats == 6:
                enough.set()

        def withdraw(self, announcement: Announcement) -> None:
            world.announcer.withdraw(announcement)

    heartbeat = Heartbeat(Counting(), an_announcement("cart.add", ttl_s=0.3))
    heartbeat.start()
    assert await asyncio.to_thread(enough.wait, 10)
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 1)
    await asyncio.to_thread(heartbeat.stop)
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 0)
    assert list(world.catalogue.names()) == ["cart.add"]


async def test_every_worker_is_known_by_name_with_when_it_was_last_seen(world: World) -> None:
    await world.announce(an_announcement("cart.add", "cart.drop", worker="host:7", ttl_s=60.0))
    await world.announce(an_announcement("cart.add", side=Side.LEGACY, worker="host:8", ttl_s=0.01))
    await world.until(lambda catalogue: [worker.alive for worker in catalogue.workers()] == [True, False])
    events, legacy = world.catalogue.workers()
    assert (events.name, events.side, events.service, sorted(events.tasks)) == ("host:7", Side.EVENTS, "shop", ["cart.add", "cart.drop"])
    assert 0 <= events.seen_s_ago < 10
    assert (legacy.name, legacy.side) == ("host:8", Side.LEGACY)


async def test_a_task_belongs_to_the_service_that_served_it_first_while_that_has_a_worker(world: World) -> None:
    shop, depot = (
        Announcement(
            worker=f"{service}:1", side=Side.EVENTS, service=service, tasks=(ServedTask(task="cart.add", service=service),), ttl_s=30.0
        )
        for service in ("shop", "depot")
    )
    await world.announce(shop)
    await world.announce(depot)
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 2)
    assert world.catalogue.served_by("cart.add")[Side.EVENTS].service == "shop"
    await world.withdraw(shop)
    await world.announce(depot)
    await world.until(lambda catalogue: catalogue.served_by("cart.add")[Side.EVENTS].service == "depot")
    await world.announce(shop)
    await world.until(lambda catalogue: catalogue.live_workers(Side.EVENTS, "cart.add") == 2)
    assert world.catalogue.served_by("cart.add")[Side.EVENTS].service == "depot"
