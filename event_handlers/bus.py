"""The event bus: publish, and subscribe by pattern."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from dualrun.broker import Broker, Exchange, Queue, Topology
from dualrun.contracts import Event, Role
from dualrun.contracts.topology import EVENTS_EXCHANGE
from event_handlers.claiming import ClaimDesk
from event_handlers.context import Context
from event_handlers.definition import EventHandler, Handler
from event_handlers.inbox import Inbox
from event_handlers.ladder import RetryLadder
from event_handlers.lane import Lane
from event_handlers.policy import Policy
from event_handlers.processing import Processor
from event_handlers.publisher import EventPublisher
from event_handlers.service_topology import DELIVERY_LIMIT, queue_with_dead_letters

__all__ = ["EventBus", "OnEvent"]

OnEvent = Callable[[Event], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Subscription:
    topology: Topology
    lane: Lane
    desk: ClaimDesk | None


class EventBus:
    """Events of one service over one broker; broker and inbox are opened and closed by whoever made them."""

    def __init__(self, broker: Broker, service: str, *, concurrency: int = 16, inbox: Inbox | None = None) -> None:
        self._broker = broker
        self._concurrency = concurrency
        self._inbox = inbox
        self._ladder = RetryLadder(broker)
        self._subscriptions: list[_Subscription] = []
        self._is_started = False
        self.publisher = EventPublisher(broker, f"/{service}")
        self.publish = self.publisher.publish
        """As `EventPublisher.publish`."""

    async def start(self) -> None:
        """Begin to deliver. Raises `BrokerUnavailable`."""
        await self._broker.declare(Topology(exchanges=(Exchange(EVENTS_EXCHANGE),)))
        self._is_started = True
        for subscription in self._subscriptions:
            await self._open(subscription)

    async def stop(self, drain_s: float = 20.0) -> None:
        """Take nothing further, finish what runs for at most so long; the rest goes back to its queue."""
        self._is_started = False
        lanes = [subscription.lane for subscription in self._subscriptions]
        await asyncio.gather(*(lane.close() for lane in lanes))
        await asyncio.gather(*(lane.drain(drain_s) for lane in lanes))
        await asyncio.gather(*(subscription.desk.stop() for subscription in self._subscriptions if subscription.desk is not None))

    async def subscribe(
        self, patterns: Iterable[str], handler: EventHandler | OnEvent, *, queue: str, policy: Policy | None = None
    ) -> None:
        """Have events whose type matches a pattern (`*` one word, `#` any number) handled.

        Who subscribes with the same `queue` name shares the work; another name gets its own copy of each event. An event that fails as
        often as the policy allows goes to the queue's dead letters. With an inbox, an event that was handled is not handled again, queue by
        queue. Raises `BrokerUnavailable` once the bus is started.
        """
        name = f"dualrun.events.{queue}"
        desk = None if self._inbox is None else ClaimDesk(self._inbox, name)
        processor = Processor(
            role=Role.AUTHORITY,
            find=_for_every_type(handler, policy),
            broker=self._broker,
            publisher=self.publisher,
            recorder=None,
            ladder=self._ladder,
            desk=desk,
        )
        topology = queue_with_dead_letters(Queue(name=name, delivery_limit=DELIVERY_LIMIT), EVENTS_EXCHANGE, tuple(patterns))
        subscription = _Subscription(topology, Lane(self._broker, name, processor.process, concurrency=self._concurrency), desk)
        self._subscriptions.append(subscription)
        if self._is_started:
            await self._open(subscription)

    async def _open(self, subscription: _Subscription) -> None:
        await self._broker.declare(subscription.topology)
        if subscription.desk is not None:
            subscription.desk.start()
        await subscription.lane.start()


def _for_every_type(handler: EventHandler | OnEvent, policy: Policy | None) -> Callable[[str], Handler]:
    function = handler.handle if isinstance(handler, EventHandler) else handler
    chosen = policy or (handler.policy if isinstance(handler, EventHandler) else Policy())
    origin = f"{getattr(handler, '__module__', '')}:{getattr(handler, '__qualname__', type(handler).__qualname__)}"

    async def invoke(event: Event, _context: Context) -> object:
        return await function(event)

    def find(task: str) -> Handler:
        return Handler(task=task, policy=chosen, origin=origin, function=function, invoke=invoke)

    return find
