"""Recalled work of a service that has no live worker, on both brokers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dualrun.broker import Broker, Message, Topology
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.broker.redirect_topology import REDIRECT_TOPOLOGY
from dualrun.contracts import Announcement, Event, ServedTask, Side, headers_of
from dualrun.contracts.recall import WorkerCounts
from dualrun.contracts.topology import (
    HEADER_ATTEMPT,
    HEADER_ETA,
    HEADER_FLAG_VERSION,
    HEADER_RECALLED_BY,
    HEADER_SERVICE,
    HEADER_STARTED,
    HEADER_SUBMISSION_ID,
    REDIRECT_QUEUE,
    service_queue,
)
from dualrun.inbox import Change, ClaimRequest, ClaimState, Verb, claim_key, given_back_result
from dualrun.inbox_memory import MemoryInbox
from event_handlers.ladder import waiting_queue
from event_handlers.service_topology import joined, service_topology
from gateway.catalogue import MemoryCatalogue
from gateway.core.flags import FlagSnapshot
from gateway.dispatch.take_back import TakeBack
from gateway.idempotency.memory import MemoryIdempotencyStore
from tests.support.eventually import becomes
from tests.support.inbox import Inbox

TASK, OTHER, VERSION, LONG_S = "cart.add", "cart.price", 7, 3600.0


class World:
    """A service nobody works for, and two gateways."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.service = f"s{uuid.uuid4().hex[:8]}"
        self.queue = service_queue(self.service)
        self.waiting = waiting_queue(self.queue, LONG_S)
        self.inbox = MemoryInbox()
        self.catalogue = MemoryCatalogue()
        self.told: list[WorkerCounts] = []
        self.idempotency = MemoryIdempotencyStore()
        self.announcement = Announcement(
            worker="w:1",
            side=Side.EVENTS,
            service=self.service,
            tasks=tuple(ServedTask(task=task, service=self.service) for task in (TASK, OTHER)),
        )

    async def open(self) -> None:
        await self.broker.connect()
        mine = service_topology(self.service, [TASK, OTHER])
        await self.broker.declare(joined(REDIRECT_TOPOLOGY, mine, Topology(queues=(self.waiting,))))
        self.catalogue.announce(self.announcement)

    def gateway(self, name: str) -> TakeBack:
        return TakeBack(
            self.broker,
            self.inbox,
            catalogue=self.catalogue,
            snapshot=lambda: FlagSnapshot(version=VERSION, flags={}, recalls={Side.EVENTS: {"cart.a*": VERSION}}),
            idempotency=self.idempotency,
            tell=self._tell,
            gateway=name,
        )

    async def _tell(self, body: bytes) -> None:
        self.told.append(msgspec.json.decode(body, type=WorkerCounts))

    async def put(
        self, id_: str, *, task: str = TASK, version: int = 1, queue: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        event = Event(id=id_, type=task, source="/test", time=datetime.now(UTC), payload={})
        own = {HEADER_SUBMISSION_ID: id_, HEADER_FLAG_VERSION: str(version), **(headers or {})}
        message = Message(body=b"{}", headers=headers_of(msgspec.structs.replace(event, headers=own)), message_id=id_)
        await self.broker.publish("", queue or self.queue, message)

    async def depths(self) -> list[int]:
        """In the service's queue, in the one of long waits, given back."""
        depths = [await self.broker.depth(name) for name in (self.queue, self.waiting.name, REDIRECT_QUEUE)]
        return [-1 if depth is None else depth.ready for depth in depths]

    async def taken_from(self, queue: str, count: int) -> dict[str, Message]:
        inbox = Inbox()
        consumer = await self.broker.consume(queue, inbox, prefetch=1000)
        deliveries = [await inbox.take() for _ in range(count)]
        for delivery in deliveries:
            delivery.ack()
        await consumer.cancel()
        return {str(delivery.message.message_id): delivery.message for delivery in deliveries}


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.services)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    broker: Broker = MemoryBroker() if request.param == "memory" else RabbitBroker(request.getfixturevalue("amqp_url"), name="test")
    opened = World(broker)
    await opened.open()
    yield opened
    await broker.close()


async def test_while_a_worker_is_alive_it_is_left_to_it(world: World) -> None:
    await world.put("one")
    await world.gateway("g").look()
    await becomes(world.depths, [1, 0, 0])
    assert world.told == []
    await world.taken_from(world.queue, 1)


async def test_what_a_flag_version_recalls_goes_back_and_the_rest_stays(world: World) -> None:
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for number in range(300):
        await world.put(f"recalled {number}")
    await world.put("newer", version=VERSION)
    await world.put("of another task", task=OTHER)
    await world.put("between two attempts", headers={HEADER_ATTEMPT: "2"})
    await world.put("scheduled", queue=world.waiting.name, headers={HEADER_ETA: in_an_hour})
    await world.put("scheduled at no time", queue=world.waiting.name, headers={HEADER_ETA: "soon"})
    await world.put("scheduled in no zone", queue=world.waiting.name, headers={HEADER_ETA: "2040-01-01T00:00:00"})
    await world.put("deferred", queue=world.waiting.name)
    await world.put("for another service", headers={HEADER_SERVICE: "other"})
    await world.put("done before")
    await world.inbox.change([Change(Verb.COMPLETE, claim_key(world.queue, "done before"), "t", b"")])
    world.catalogue.withdraw(world.announcement)
    await world.gateway("g").look()
    await becomes(world.depths, [5, 2, 302])
    assert [(counts.version, counts.given_back, counts.waiting) for counts in world.told] == [(VERSION, 302, 0)]
    given_back = await world.taken_from(REDIRECT_QUEUE, 302)
    assert set(given_back) == {"scheduled", "scheduled in no zone", *(f"recalled {number}" for number in range(300))}
    assert {message.headers[HEADER_RECALLED_BY] for message in given_back.values()} == {str(VERSION)}
    left = {"newer", "of another task", "between two attempts", "for another service", "done before"}
    assert set(await world.taken_from(world.queue, 5)) == left
    assert set(await world.taken_from(world.waiting.name, 2)) == {"deferred", "scheduled at no time"}
    (claim,) = await world.inbox.claim([ClaimRequest(claim_key(world.queue, "recalled 1"), "late", 1)])
    assert claim.result == b"b7", "a second copy of it is given back by whoever gets it"


async def test_a_version_is_dealt_with_once_by_one_of_all_gateways(world: World) -> None:
    world.catalogue.withdraw(world.announcement)
    one, other = world.gateway("one"), world.gateway("other")
    await one.look()
    await world.put("came later, from a gateway that had not heard")
    await other.look()
    await one.look()
    await becomes(world.depths, [1, 0, 0])
    assert len(world.told) == 1


async def test_what_somebody_had_in_hand_stays_unless_it_was_to_be_given_back(world: World) -> None:
    await world.put("may have started")
    await world.put("was to be given back")
    inbox = Inbox()
    consumer = await world.broker.consume(world.queue, inbox, prefetch=10)
    deliveries = [await inbox.take() for _ in range(2)]
    await consumer.cancel()
    for delivery in deliveries:
        delivery.requeue()
    await becomes(world.depths, [2, 0, 0])
    key = claim_key(world.queue, "was to be given back")
    await world.inbox.change([Change(Verb.COMPLETE, key, "t", given_back_result(VERSION))])
    world.catalogue.withdraw(world.announcement)
    await world.gateway("g").look()
    await becomes(world.depths, [1, 0, 1])
    assert set(await world.taken_from(REDIRECT_QUEUE, 1)) == {"was to be given back"}
    (claim,) = await world.inbox.claim([ClaimRequest(claim_key(world.queue, "may have started"), "next", 1)])
    assert claim.state is ClaimState.OURS, "the next worker runs it"
    await world.taken_from(world.queue, 1)


async def test_what_bears_that_it_may_have_begun_stays_though_it_was_published_again(world: World) -> None:
    await world.put("begun before its worker stopped", headers={HEADER_STARTED: "1"})
    await world.put("never begun")
    world.catalogue.withdraw(world.announcement)
    await world.gateway("g").look()
    await becomes(world.depths, [1, 0, 1])
    assert set(await world.taken_from(world.queue, 1)) == {"begun before its worker stopped"}
    assert set(await world.taken_from(REDIRECT_QUEUE, 1)) == {"never begun"}
