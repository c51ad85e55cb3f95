"""The event worker: the handlers of one service at work on its queues."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from dualrun import effects
from dualrun.announce import Announcer, Heartbeat
from dualrun.broker import Broker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Announcement, Role, Side
from dualrun.contracts.topology import service_queue, shadow_queue
from dualrun.errors import BrokerUnavailable
from event_handlers.attempt import WORKER
from event_handlers.claiming import ClaimDesk
from event_handlers.inbox import Inbox
from event_handlers.ladder import RetryLadder
from event_handlers.lane import Lane
from event_handlers.processing import Processor
from event_handlers.publisher import EventPublisher
from event_handlers.recorder import BrokerOutcomeSink, OutcomeSink, Recorder
from event_handlers.registry import HandlerRegistry
from event_handlers.service_topology import SHADOW_MAX_LENGTH, joined, service_topology

__all__ = ["EventWorker", "patiently"]

log = logging.getLogger(__name__)

_RECONNECT_S = 2.0


class EventWorker:
    """Consumes a service's authority events and, with a concurrency of its own, its shadow events.

    Broker and inbox are opened and closed by whoever made them. Delivery is at least once. With an inbox, an authority event that was
    completed is not run again; without one, a handler may run again for the same event after a crash.
    """

    def __init__(
        self,
        broker: Broker,
        registry: HandlerRegistry,
        *,
        service: str,
        announcer: Announcer | None = None,
        sink: OutcomeSink | None = None,
        inbox: Inbox | None = None,
        concurrency: int = 64,
        shadow_concurrency: int = 8,
        prefetch: int | None = None,
        shadow_max_length: int = SHADOW_MAX_LENGTH,
        ttl_s: float = 30.0,
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._service = service
        self._recorder = Recorder(sink or BrokerOutcomeSink(broker))
        self._topology = joined(RECORDS_TOPOLOGY, service_topology(service, registry.tasks, shadow_max_length=shadow_max_length))
        # What a shadow does is held back or may be repeated: it needs no claim.
        self._desk = None if inbox is None else ClaimDesk(inbox, service_queue(service))
        self._processors = {role: self._processor(role, RetryLadder(broker)) for role in Role}
        self._lanes = [
            Lane(
                broker,
                service_queue(service),
                self._processors[Role.AUTHORITY].process,
                concurrency=concurrency,
                prefetch=prefetch,
            ),
            Lane(
                broker,
                shadow_queue(service),
                self._processors[Role.SHADOW].process,
                concurrency=shadow_concurrency,
                prefetch=shadow_concurrency * 2,
            ),
        ]
        announcement = Announcement(worker=WORKER, side=Side.EVENTS, service=service, tasks=registry.served(), ttl_s=ttl_s)
        self._heartbeat = None if announcer is None else Heartbeat(announcer, announcement)

    def counts(self, role: Role) -> Counter[str]:
        """Deliveries so far by what became of them, as `Processor.counts` says."""
        return Counter(self._processors[role].counts)

    async def start(self) -> None:
        """Declare what is needed, begin to consume, announce. Waits for a broker that is away. Raises `ConfigurationError`."""
        effects.install()
        await patiently(lambda: self._broker.declare(self._topology))
        self._recorder.start()
        if self._desk is not None:
            self._desk.start()
        for lane in self._lanes:
            await patiently(lane.start)
        if self._heartbeat is not None:
            self._heartbeat.start()
        log.info("event_worker_ready", extra={"service": self._service, "tasks": len(self._registry), "worker": WORKER})

    async def stop(self, drain_s: float = 20.0, *, record_s: float = 5.0) -> None:
        """Take nothing further, finish what runs for at most `drain_s`, then have its outcomes recorded for at most `record_s`.

        What is not finished or not recorded goes back to its queue.
        """
        log.info("event_worker_stopping", extra={"service": self._service, "drain_s": drain_s})
        leaving = None if self._heartbeat is None else asyncio.create_task(asyncio.to_thread(self._heartbeat.stop))
        await asyncio.gather(*(lane.close() for lane in self._lanes))
        await asyncio.gather(*(lane.drain(drain_s) for lane in self._lanes))
        await self._recorder.stop(record_s)
        if self._desk is not None:
            await self._desk.stop()
        if leaving is not None:
            await leaving
        log.info("event_worker_stopped", extra={"service": self._service})

    def _processor(self, role: Role, ladder: RetryLadder) -> Processor:
        return Processor(
            role=role,
            find=self._registry.find,
            broker=self._broker,
            publisher=EventPublisher(self._broker, f"/{self._service}"),
            recorder=self._recorder,
            ladder=ladder,
            desk=self._desk if role is Role.AUTHORITY else None,
        )


async def patiently(step: Callable[[], Awaitable[None]]) -> None:
    """Take a step that needs the broker; while it is away try again, with a log line each time."""
    while True:
        try:
            await step()
        except BrokerUnavailable as exc:
            log.warning("broker_awaited", extra={"error": str(exc), "again_in_s": _RECONNECT_S})
            await asyncio.sleep(_RECONNECT_S)
        else:
            return
