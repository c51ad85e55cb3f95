"""The queues a service needs, and what they are bound to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dualrun.broker import Binding, Exchange, ExchangeKind, Overflow, Queue, Topology
from dualrun.contracts.topology import DEAD_LETTERS, EVENTS_EXCHANGE, SHADOW_EXCHANGE, dead_letter_queue, service_queue, shadow_queue
from event_handlers.routing import Route, binding_of

__all__ = ["DELIVERY_LIMIT", "queue_with_dead_letters", "service_topology"]

DELIVERY_LIMIT = 5
MAX_PRIORITY = 9
SHADOW_MAX_LENGTH = 10_000
SHADOW_TTL_MS = 3_600_000


def service_topology(
    service: str,
    tasks: Iterable[str],
    *,
    shadow_max_length: int = SHADOW_MAX_LENGTH,
    shadow_ttl_ms: int = SHADOW_TTL_MS,
    priorities: bool = False,
) -> Topology:
    """Both queues of a service with their dead letters, bound to the events of its tasks.

    A full shadow queue refuses what comes next, so that whoever publishes can count what is shed. With `priorities`, authority
    events of a higher priority come first; one node of RabbitMQ keeps their queue then, and there is no delivery limit.
    """
    authority, shadow = service_queue(service), shadow_queue(service)
    tasks = tuple(tasks)
    return joined(
        queue_with_dead_letters(
            Queue(name=authority, delivery_limit=DELIVERY_LIMIT, max_priority=MAX_PRIORITY if priorities else None),
            Exchange(EVENTS_EXCHANGE),
            tasks,
        ),
        queue_with_dead_letters(
            Queue(
                name=shadow,
                delivery_limit=DELIVERY_LIMIT,
                max_length=shadow_max_length,
                overflow=Overflow.REJECT_PUBLISH,
                message_ttl_ms=shadow_ttl_ms,
            ),
            Exchange(SHADOW_EXCHANGE),
            tasks,
        ),
    )


def queue_with_dead_letters(queue: Queue, exchange: Exchange, routes: Iterable[Route]) -> Topology:
    """A queue bound to an exchange, and the queue beside it for what it cannot deal with. Raises `ConfigurationError`."""
    dead = dead_letter_queue(queue.name)
    return Topology(
        exchanges=(exchange, Exchange(DEAD_LETTERS, ExchangeKind.DIRECT)),
        queues=(replace(queue, dead_letter_exchange=DEAD_LETTERS, dead_letter_routing_key=queue.name), Queue(name=dead)),
        bindings=(
            Binding(DEAD_LETTERS, dead, queue.name),
            *(binding_of(exchange, queue.name, route) for route in routes),
        ),
    )


def joined(*topologies: Topology) -> Topology:
    """All of them in one."""
    return Topology(
        exchanges=tuple(dict.fromkeys(exchange for topology in topologies for exchange in topology.exchanges)),
        queues=tuple(queue for topology in topologies for queue in topology.queues),
        bindings=tuple(binding for topology in topologies for binding in topology.bindings),
    )
