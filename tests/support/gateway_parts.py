"""A gateway on the adapters in memory, with tasks announced and queues one can look into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncEngine

from dualrun.breakers_memory import MemoryBreakerBoard
from dualrun.broadcast import Broadcast
from dualrun.broker import Queue, Topology
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Announcement, JsonObject, Parameter, ServedTask, Side
from dualrun.contracts.topology import EVENTS_EXCHANGE, RECORDS_QUEUE
from dualrun.inbox_memory import MemoryInbox
from event_handlers.service_topology import service_topology
from gateway.access import MemoryAccessStore, MemoryAuditSpool, MemoryRateCounts
from gateway.api.services import Services
from gateway.app import Parts, assemble, comparator_of
from gateway.callers import MemoryCallerCounts
from gateway.catalogue.memory import MemoryCatalogue
from gateway.comparator import Comparator
from gateway.dispatch.celery import CeleryDispatcher
from gateway.dispatch.celery_canceller import CeleryCanceller, app_for_control
from gateway.dispatch.dead_letters import BrokerDeadLetters
from gateway.dispatch.events import EventsDispatcher
from gateway.dispatch.events_canceller import EventsCanceller
from gateway.flags.memory import MemoryFlagStore
from gateway.gating import MemoryGateNotices
from gateway.idempotency.memory import MemoryIdempotencyStore
from gateway.ledger import MemoryAudit, MemoryLedger, SqlGateLedger, SqlLedgerBrowser, SqlLedgerReader
from gateway.notices import MemoryNoticeLog, MemoryWebhookLeases
from gateway.outcomes.broker import BrokerRecordSink, BrokerRecordSource
from gateway.outcomes.notices import MemoryNotices
from gateway.settings import AccessMode, Settings

LEGACY_QUEUE = "order"
EVENTS_QUEUE = "dualrun.events.shop"
SHADOW_QUEUE = "dualrun.shadow.shop"
SHADOW_MAX_LENGTH = 100
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
    gate_notices: MemoryGateNotices
    inbox: MemoryInbox
    breakers: MemoryBreakerBoard
    access: MemoryAccessStore

    def serve(self, *tasks: str) -> None:
        """Have a live worker of each side serve these tasks, too."""
        for side in Side:
            served = tuple(ServedTask(task=task) for task in tasks)
            self.catalogue.announce(Announcement(worker=f"{side.value}-2", side=side, service="other", tasks=served, ttl_s=3600.0))

    async def depths(self) -> dict[str, int]:
        """How many messages wait in each queue a submission can reach."""
        names = (LEGACY_QUEUE, EVENTS_QUEUE, SHADOW_QUEUE, RECORDS_QUEUE)
        depths = {name: await self.broker.depth(name) for name in names}
        return {name: depth.ready for name, depth in depths.items() if depth is not None and depth.ready}


@asynccontextmanager
async def memory_gateway(engine: AsyncEngine | None = None, /, **settings: object) -> AsyncIterator[MemoryGateway]:
    """A gateway that knows `TASK` on both sides; nobody consumes, and the comparator is not started.

    With an engine, pages and reports read that ledger.
    """
    broker = MemoryBroker()
    await broker.connect()
    await broker.declare(RECORDS_TOPOLOGY)
    await broker.declare(Topology(queues=(Queue(name=LEGACY_QUEUE),)))
    await broker.declare(service_topology("shop", [TASK], shadow_max_length=SHADOW_MAX_LENGTH))
    catalogue, flags, ledger, notices = MemoryCatalogue(), MemoryFlagStore(), MemoryLedger(), MemoryNotices()
    inbox, breakers, access = MemoryInbox(), MemoryBreakerBoard("shop"), MemoryAccessStore()
    catalogue.announce(_announcement(Side.LEGACY, ServedTask(task=TASK, parameters=PARAMETERS, routing_key=LEGACY_QUEUE)))
    catalogue.announce(
        _announcement(
            Side.EVENTS,
            ServedTask(task=TASK, parameters=PARAMETERS, schema=SCHEMA, service="shop", exchange=EVENTS_EXCHANGE, routing_key=TASK),
        )
    )
    records = BrokerRecordSink(broker)
    gate_notices = MemoryGateNotices()
    parts = Parts(
        catalogue=catalogue,
        breakers=breakers,
        flags=flags,
        dispatchers={Side.LEGACY: CeleryDispatcher(broker), Side.EVENTS: EventsDispatcher(broker)},
        cancellers={Side.LEGACY: CeleryCanceller(app_for_control("memory://")), Side.EVENTS: EventsCanceller(inbox)},
        records=records,
        idempotency=MemoryIdempotencyStore(),
        callers=MemoryCallerCounts(),
        notices=notices,
        ledger=ledger,
        browser=ledger,
        gate_ledger=ledger,
        triage=ledger,
        dead_letters=BrokerDeadLetters(broker),
        broker=broker,
        legacy_queues=broker,
        gate_notices=gate_notices,
        notice_log=MemoryNoticeLog(),
        webhook_leases=MemoryWebhookLeases(),
        access=access,
        inbox=inbox,
        audit=MemoryAudit(),
        rate_counts=MemoryRateCounts(),
        audit_spool=MemoryAuditSpool(),
        broadcast=Broadcast(broker),
        probes={},
    )
    if engine is not None:
        parts = replace(parts, ledger=SqlLedgerReader(engine), browser=SqlLedgerBrowser(engine), gate_ledger=SqlGateLedger(engine))
    configured = Settings(**{"drain_s": 1.0, "webhooks_file": None, "access": AccessMode.OFF, **settings})  # type: ignore[arg-type]  # each test names its own few
    comparator = comparator_of(configured, BrokerRecordSource(broker), (ledger, ledger), notices)
    async with assemble(configured, parts) as services:
        yield MemoryGateway(services, broker, catalogue, flags, ledger, comparator, gate_notices, inbox, breakers, access)
    await comparator.stop()
    await records.close()
    await broker.close()


def _announcement(side: Side, served: ServedTask) -> Announcement:
    return Announcement(worker=f"{side.value}-1", side=side, service="shop", tasks=(served,), ttl_s=3600.0)
