"""The event worker: the handlers of one service at work on its queues."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from dualrun import effects
from dualrun.announce import Announcer, Heartbeat
from dualrun.breakers import BreakerBoard
from dualrun.broadcast import Broadcast
from dualrun.broker import Broker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.broker.redirect_topology import REDIRECT_TOPOLOGY
from dualrun.contracts import Announcement, Role, Side
from dualrun.contracts.topology import service_queue, shadow_queue
from dualrun.errors import BrokerUnavailable
from dualrun.in_force import FlagsInForce
from dualrun.inbox import Inbox
from event_handlers.attempt import worker_name
from event_handlers.breaker import breaker_states
from event_handlers.circuit_guard import CircuitGuard
from event_handlers.claiming import ClaimDesk
from event_handlers.definition import Handler
from event_handlers.dependencies import OpenDependencies
from event_handlers.ladder import Ladder, RetryLadder
from event_handlers.lane import Lane
from event_handlers.processing import Processor
from event_handlers.publisher import EventPublisher
from event_handlers.recall_watch import RecallWatch
from event_handlers.recalling import Recalling
from event_handlers.recorder import BrokerOutcomeSink, OutcomeSink, Recorder
from event_handlers.registry import HandlerRegistry
from event_handlers.service_topology import SHADOW_MAX_LENGTH, joined, service_topology
from event_handlers.settling import Settler
from event_handlers.worker_report import WorkerReport

__all__ = ["EventWorker", "patiently"]

log = logging.getLogger(__name__)

_RECONNECT_S = 2.0


class EventWorker:
    """Consumes a service's authority events and, with a concurrency of its own, its shadow events.

    Broker, inbox and board of breakers are opened and closed by whoever made them. Delivery is at least once. With an inbox, an authority
    event that was completed is not run again; without one, a handler may run again for the same event after a crash. With `in_force`, what
    a flag change recalls and has not started is given back; without it, what came here is run here. `priorities` is as `service_topology`
    says; every worker of the service is to say the same.
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
        breakers: BreakerBoard | None = None,
        in_force: FlagsInForce | None = None,
        broadcast: Broadcast | None = None,
        concurrency: int = 64,
        shadow_concurrency: int = 8,
        prefetch: int | None = None,
        shadow_max_length: int = SHADOW_MAX_LENGTH,
        priorities: bool = False,
        ttl_s: float = 30.0,
        dependencies: OpenDependencies | None = None,
        ladder: Ladder | None = None,
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._service = service
        self._dependencies = dependencies or OpenDependencies()
        self._handlers: dict[str, Handler] = {}
        """By task, with their dependencies; filled at the start."""
        self._recorder = Recorder(sink or BrokerOutcomeSink(broker))
        self._topology = joined(
            RECORDS_TOPOLOGY,
            REDIRECT_TOPOLOGY,
            service_topology(service, registry.tasks, shadow_max_length=shadow_max_length, priorities=priorities),
        )
        self._recalling = None if in_force is None else Recalling(broker, in_force)
        # What a shadow does is held back or may be repeated: it needs no claim. It may be cancelled all the same.
        self._shadow_watch = None if inbox is None else ClaimDesk(inbox, shadow_queue(service))
        self._breakers, self._circuits = breakers, CircuitGuard()
        self._desk = None if inbox is None else ClaimDesk(inbox, service_queue(service))
        self._processors = {role: self._processor(role, ladder or RetryLadder(broker)) for role in Role}
        self._is_ready = False
        self._lanes = {
            Role.AUTHORITY: Lane(
                broker,
                service_queue(service),
                self._processors[Role.AUTHORITY].process,
                concurrency=concurrency,
                prefetch=prefetch,
                needs_no_room=None if self._recalling is None else self._recalling.is_recalled,
            ),
            Role.SHADOW: Lane(
                broker,
                shadow_queue(service),
                self._processors[Role.SHADOW].process,
                concurrency=shadow_concurrency,
                prefetch=shadow_concurrency * 2,
            ),
        }
        self._watch = None if in_force is None or self._recalling is None else self._recall_watch(in_force, self._recalling, broadcast)
        announcement = Announcement(worker=worker_name(), side=Side.EVENTS, service=service, tasks=registry.served(service), ttl_s=ttl_s)
        self._heartbeat = None if announcer is None else Heartbeat(announcer, announcement)

    def counts(self, role: Role) -> Counter[str]:
        """Deliveries so far by what became of them, as `Settler.counts` says."""
        return Counter(self._processors[role].settler.counts)

    def report(self) -> WorkerReport:
        """How it stands now."""
        return WorkerReport(
            is_ready=self._is_ready and self._broker.is_up,
            running={role.value: lane.running for role, lane in self._lanes.items()},
            waiting={role.value: lane.waiting for role, lane in self._lanes.items()},
            counts={role.value: dict(processor.settler.counts) for role, processor in self._processors.items()},
            seconds=dict(self._processors[Role.AUTHORITY].settler.seconds),
            breakers=breaker_states(),
        )

    async def start(self) -> None:
        """Open dependencies, declare what is needed, begin to consume, announce. Waits for a broker that is away.

        Raises `ConfigurationError`, and whatever opening a dependency raises.
        """
        effects.install()
        await self._dependencies.open(need for handler in self._registry for need in handler.needs.values())
        self._handlers.update((handler.task, handler.given(self._dependencies)) for handler in self._registry)
        await patiently(lambda: self._broker.declare(self._topology))
        self._recorder.start()
        for desk in self._desks:
            desk.start()
        if self._watch is not None:
            await self._watch.start()
        for lane in self._lanes.values():
            await patiently(lane.start)
        if self._heartbeat is not None:
            self._heartbeat.start()
        self._is_ready = True
        log.info("event_worker_ready", extra={"service": self._service, "tasks": len(self._registry), "worker": worker_name()})

    async def stop(self, drain_s: float = 20.0, *, record_s: float = 5.0) -> None:
        """Take nothing further, finish what runs for at most `drain_s`, then have its outcomes recorded for at most `record_s`.

        What is not finished or not recorded goes back to its queue.
        """
        self._is_ready = False
        log.info("event_worker_stopping", extra={"service": self._service, "drain_s": drain_s})
        leaving = None if self._heartbeat is None else asyncio.create_task(asyncio.to_thread(self._heartbeat.stop))
        if self._watch is not None:
            await self._watch.stop()
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()))
        await asyncio.gather(*(lane.drain(drain_s) for lane in self._lanes.values()))
        await self._recorder.stop(record_s)
        for desk in self._desks:
            await desk.stop()
        if leaving is not None:
            await leaving
        await self._dependencies.close()
        log.info("event_worker_stopped", extra={"service": self._service})

    @property
    def _desks(self) -> list[ClaimDesk]:
        return [desk for desk in (self._desk, self._shadow_watch) if desk is not None]

    def _recall_watch(self, in_force: FlagsInForce, recalling: Recalling, broadcast: Broadcast | None) -> RecallWatch:
        queue, processor, lane = service_queue(self._service), self._processors[Role.AUTHORITY], self._lanes[Role.AUTHORITY]

        async def waiting() -> int:
            depth = await self._broker.depth(queue)
            return (0 if depth is None else depth.ready) + lane.running + lane.waiting - len(processor.running)

        return RecallWatch(
            self._broker,
            queue,
            self._registry.tasks,
            in_force=in_force,
            recalling=recalling,
            broadcast=broadcast,
            running=processor.running.values,
            look_again=lane.look_again,
            waiting=waiting,
        )

    def _processor(self, role: Role, ladder: Ladder) -> Processor:
        settler = Settler(
            role=role,
            broker=self._broker,
            recorder=self._recorder,
            ladder=ladder,
            desk=self._desk if role is Role.AUTHORITY else None,
            recalling=self._recalling if role is Role.AUTHORITY else None,
        )
        return Processor(
            find=self._handlers.get,
            publisher=EventPublisher(self._broker, f"/{self._service}"),
            settler=settler,
            watch=self._shadow_watch if role is Role.SHADOW else None,
            circuits=self._circuits,
            breakers=self._breakers,
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
