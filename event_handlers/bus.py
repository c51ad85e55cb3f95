"""The event bus: publish, request, subscribe and cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from dualrun.breakers import BreakerBoard
from dualrun.broker import Broker, Exchange, Queue, Topology
from dualrun.contracts import Event, Role
from dualrun.contracts.topology import HEADER_ETA, service_queue
from dualrun.errors import ConfigurationError
from dualrun.inbox import CANCELLED_KEEP_S, Inbox, claim_id, event_identity
from event_handlers.claiming import ClaimDesk
from event_handlers.context import Context
from event_handlers.definition import EventHandler, Handler
from event_handlers.ladder import RetryLadder
from event_handlers.lane import Lane
from event_handlers.ordering import InPlace, KeyOf, OrderedLane
from event_handlers.policy import Policy
from event_handlers.processing import Processor
from event_handlers.publisher import EVENTS, EventPublisher
from event_handlers.routing import Route
from event_handlers.service_topology import DELIVERY_LIMIT, MAX_PRIORITY, queue_with_dead_letters
from event_handlers.settling import Settler

__all__ = ["EventBus", "OnEvent"]

_REPLAYS_CANCELLED = 3
"""Each replay of a dead letter is claimed by itself; nobody knows here how many there were."""
OnEvent = Callable[[Event], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Subscription:
    topology: Topology
    lane: Lane
    desk: ClaimDesk | None


class EventBus:
    """Events of one service over one broker; broker, inbox and board of breakers are opened and closed by whoever made them."""

    def __init__(
        self,
        broker: Broker,
        service: str,
        *,
        concurrency: int = 16,
        prefetch: int | None = None,
        inbox: Inbox | None = None,
        breakers: BreakerBoard | None = None,
    ) -> None:
        self._broker = broker
        self._service = service
        self._concurrency = concurrency
        self._prefetch = prefetch
        self._inbox = inbox
        self._breakers = breakers
        self._ladder = RetryLadder(broker)
        self._subscriptions: list[_Subscription] = []
        self._is_started = False
        self.publisher = EventPublisher(broker, f"/{service}")
        self.publish = self.publisher.publish
        """As `EventPublisher.publish`."""
        self.request = self.publisher.request
        """As `EventPublisher.request`."""

    async def start(self) -> None:
        """Begin to deliver. Raises `BrokerUnavailable`."""
        await self._broker.declare(Topology(exchanges=(EVENTS,)))
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
        self,
        routes: Iterable[Route],
        handler: EventHandler | OnEvent,
        *,
        queue: str,
        exchange: Exchange = EVENTS,
        policy: Policy | None = None,
        ordered_by: KeyOf | None = None,
        priorities: bool = False,
    ) -> None:
        """Have events handled that an exchange routes here: by default those whose type matches a pattern (`*` one word, `#` any number).

        Who subscribes with the same `queue` name shares the work; another name gets its own copy of each event. The queue is durable and
        stays bound when nobody consumes. An event that fails as often as the policy allows goes to the queue's dead letters. With an inbox,
        an event that was handled is not handled again, queue by queue.

        With `ordered_by`, events for which it gives the same key are handled one after another as they were published, by one process at a
        time; an event that fails holds up those of its key until its attempts are over. With `priorities`, events published with a higher
        `priority` come first; the queue is then kept by one node of RabbitMQ, and a message that kills its worker comes again for ever.

        Raises `ConfigurationError`; `BrokerUnavailable` once the bus is started.
        """
        name = service_queue(queue)
        desk = None if self._inbox is None else ClaimDesk(self._inbox, name)
        settler = Settler(
            role=Role.AUTHORITY,
            broker=self._broker,
            recorder=None,
            ladder=self._ladder if ordered_by is None else InPlace(),
            desk=desk,
        )
        find = _for_every_type(handler, policy)
        processor = Processor(find=find, publisher=self.publisher, settler=settler, breakers=self._breakers)
        properties = Queue(
            name=name,
            delivery_limit=DELIVERY_LIMIT,
            single_active_consumer=ordered_by is not None,
            max_priority=MAX_PRIORITY if priorities else None,
        )
        subscription = _Subscription(
            queue_with_dead_letters(properties, exchange, tuple(routes)), self._lane(name, processor, ordered_by), desk
        )
        self._subscriptions.append(subscription)
        if self._is_started:
            await self._open(subscription)

    async def cancel(self, queue: str, event: Event | str, *, source: str | None = None) -> bool:
        """Have an event not handled any more by who subscribed as `queue`; needs the inbox its workers have.

        `event` is the event, or its id: then `source` says whose it is, by default this bus's own. The id of a submission is enough.

        One that waits, for a place, a retry or its time, ends as revoked when it comes. One that is being handled is cancelled: its handler
        sees `asyncio.CancelledError`, at once in this process, in others when they next renew their claims. What is done stays done. False
        where the inbox is out of reach, so that nobody knows. It is remembered for a year, and where the event itself is given for a year
        after its `not_before`; so it is for the first three replays of a dead letter. Raises `ConfigurationError` without an inbox.
        """
        if self._inbox is None:
            raise ConfigurationError("events can be cancelled where an inbox remembers it: EventBus(..., inbox=...)")
        name = service_queue(queue)
        known = (subscription.desk for subscription in self._subscriptions if subscription.lane.queue == name)
        desk = next((desk for desk in known if desk is not None), None) or ClaimDesk(self._inbox, name)
        event_id = event if isinstance(event, str) else event.id
        whose = source or (f"/{self._service}" if isinstance(event, str) else event.source)
        keep_s = CANCELLED_KEEP_S + (0.0 if isinstance(event, str) else _ahead_s(event))
        identity = event_identity(whose, event_id)
        claims = (claim_id(identity, put_asides) for put_asides in range(_REPLAYS_CANCELLED + 1))
        return await desk.cancel(*claims, event_id, keep_s=keep_s)

    def _lane(self, queue: str, processor: Processor, ordered_by: KeyOf | None) -> Lane:
        if ordered_by is None:
            return Lane(self._broker, queue, processor.process, concurrency=self._concurrency, prefetch=self._prefetch)
        return OrderedLane(self._broker, queue, processor.process, ordered_by, concurrency=self._concurrency, prefetch=self._prefetch)

    async def _open(self, subscription: _Subscription) -> None:
        await self._broker.declare(subscription.topology)
        if subscription.desk is not None:
            subscription.desk.start()
        await subscription.lane.start()


def _ahead_s(event: Event) -> float:
    """How long an event waits for its time; what cannot be read is put aside by whoever gets it, and waits for nothing."""
    try:
        due = datetime.fromisoformat(event.headers.get(HEADER_ETA, ""))
        return max(0.0, (due - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _for_every_type(handler: EventHandler | OnEvent, policy: Policy | None) -> Callable[[str], Handler]:
    function = handler.handle if isinstance(handler, EventHandler) else handler
    chosen = policy or (handler.policy if isinstance(handler, EventHandler) else Policy())
    origin = f"{getattr(handler, '__module__', '')}:{getattr(handler, '__qualname__', type(handler).__qualname__)}"

    async def invoke(event: Event, _context: Context) -> object:
        return await function(event)

    def find(task: str) -> Handler:
        return Handler(task=task, policy=chosen, origin=origin, function=function, invoke=invoke)

    return find
