"""A gateway on the adapters in memory, with tasks announced and queues one can look into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dualrun.broker import Binding, Exchange, Queue, Topology
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Announcement, JsonObject, Parameter, ServedTask, Side
from dualrun.contracts.topology import EVENTS_EXCHANGE, RECORDS_QUEUE, SHADOW_EXCHANGE
from gateway.api.services import Services
from gateway.app import Parts, assemble, comparator_of
from gateway.catalogue.memory import MemoryCatalogue
from gateway.comparator import Comparator
from gateway.dispatch.celery import CeleryDispatcher
from gateway.dispatch.dead_letters import BrokerDeadLetters
from gateway.dispatch.events import EventsDispatcher
from gateway.flags.memory import MemoryFlagStore
from gateway.idempotency.memory import MemoryIdempotencyStore
from gateway.ledger import MemoryLedger
from gateway.outcomes.broker import BrokerRecordSink, BrokerRecordSource
from gateway.outcomes.notices import MemoryNotices
from gateway.settings import Settings

LEGACY_QUEUE = "order"
EVENTS_QUEUE = "dualrun.events.shop"
SHADOW_QUEUE = "dualrun.shadow.shop"
TASK = "order.send_order_confirmation"
PARAMETERS = (Parameter(name="order_id"), Parameter(name="email"), Parameter(name="notify", required=False))
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"order_id": {"type": "integer"}, "email": {"type": "string"}, "notify": {"type": "boolean"}},
    "required": ["order_id", "email"],
    "additionalProperties": False,
}


@dataclass(slots=True)
class MemoryGateway:
    """The running gateway and what stands behind it."""

    services: Services
    broker: MemoryBroker
    catalogue: MemoryCatalogue
    flags: MemoryFlagStore
    ledger: MemoryLedger
    comparator: Comparator

    async def depths(self) -> dict[str, int]:
        """How many messages wait in each queue a submission can reach."""
        names = (LEGACY_QUEUE, EVENTS_QUEUE, SHADOW_QUEUE, RECORDS_QUEUE)
        depths = {name: await self.broker.depth(name) for name in names}
        return {name: depth.ready for name, depth in depths.items() if depth is not None and depth.ready}


@asynccontextmanager
async def memory_gateway(**settings: object) -> AsyncIterator[MemoryGateway]:
    """A gateway that knows `TASK` on both sides; nobody consumes, and the comparator is not started."""
    broker = MemoryBroker()
    await broker.connect()
    await broker.declare(RECORDS_TOPOLOGY)
    await broker.declare(
        Topology(
            exchanges=(Exchange(EVENTS_EXCHANGE), Exchange(SHADOW_EXCHANGE)),
            queues=(Queue(name=LEGACY_QUEUE), Queue(name=EVENTS_QUEUE), Queue(name=SHADOW_QUEUE, max_length=100)),
            bindings=(Binding(EVENTS_EXCHANGE, EVENTS_QUEUE, TASK), Binding(SHADOW_EXCHANGE, SHADOW_QUEUE, TASK)),
        )
    )
    catalogue, flags, ledger, notices = MemoryCatalogue(), MemoryFlagStore(), MemoryLedger(), MemoryNotices()
    catalogue.announce(_announcement(Side.LEGACY, ServedTask(task=TASK, parameters=PARAMETERS, routing_key=LEGACY_QUEUE)))
    catalogue.announce(
        _announcement(Side.EVENTS, ServedTask(task=TASK, parameters=PARAMETERS, schema=SCHEMA, exchange=EVENTS_EXCHANGE, routing_key=TASK))
    )
    records = BrokerRecordSink(broker)
    parts = Parts(
        catalogue=catalogue,
        flags=flags,
        dispatchers={Side.LEGACY: CeleryDispatcher(broker), Side.EVENTS: EventsDispatcher(broker)},
        records=records,
        idempotency=MemoryIdempotencyStore(),
        notices=notices,
        ledger=ledger,
        dead_letters=BrokerDeadLetters(broker),
        probes={},
    )
    configured = Settings(**{"drain_s": 1.0, **settings})  # type: ignore[arg-type]  # each test names its own few
    comparator = comparator_of(configured, BrokerRecordSource(broker), ledger, notices)
    async with assemble(configured, parts) as services:
        yield MemoryGateway(services, broker, catalogue, flags, ledger, comparator)
    await comparator.stop()
    await records.close()
    await broker.close()


def _announcement(side: Side, served: ServedTask) -> Announcement:
    return Announcement(worker=f"{side.value}-1", side=side, service="shop", tasks=(served,), ttl_s=3600.0)
