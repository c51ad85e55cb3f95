"""The queues a service needs, and what they are bound to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dualrun.broker import Binding, Exchange, ExchangeKind, Overflow, Queue, Topology
from dualrun.contracts.topology import DEAD_LETTERS, EVENTS_EXCHANGE, SHADOW_EXCHANGE, dead_letter_queue, service_queue, shadow_queue

__all__ = ["queue_with_dead_letters", "service_topology"]

DELIVERY_LIMIT = 5
SHADOW_MAX_LENGTH = 10_000
SHADOW_TTL_MS = 3_600_000


def service_topology(
    service: str, tasks: Iterable[str], *, shadow_max_length: int = SHADOW_MAX_LENGTH, shadow_ttl_ms: int = SHADOW_TTL_MS
) -> Topology:
    """Both queues of a service with their dead letters, bound to the events of its tasks.

    A full shadow queue refuses what comes next, so that whoever publishes can count what is shed.
    """
    authority, shadow = service_queue(service), shadow_queue(service)
    tasks = tuple(tasks)
    return joined(
        queue_with_dead_letters(Queue(name=authority, delivery_limit=DELIVERY_LIMIT), EVENTS_EXCHANGE, tasks),
        queue_with_dead_letters(
            Queue(
                name=shadow,
                delivery_limit=DELIVERY_LIMIT,
                max_length=shadow_max_length,
                overflow=Overflow.REJECT_PUBLISH,
                message_ttl_ms=shadow_ttl_ms,
            ),
            SHADOW_EXCHANGE,
            tasks,
        ),
    )


def queue_with_dead_letters(queue: Queue, exchange: str, patterns: Iterable[str]) -> Topology:
    """A queue bound to patterns on a topic exchange, and the queue beside it for what it cannot deal with."""
    dead = dead_letter_queue(queue.name)
    return Topology(
        exchanges=(Exchange(exchange), Exchange(DEAD_LETTERS, ExchangeKind.DIRECT)),
        queues=(replace(queue, dead_letter_exchange=DEAD_LETTERS, dead_letter_routing_key=queue.name), Queue(name=dead)),
        bindings=(
            Binding(DEAD_LETTERS, dead, queue.name),
            *(Binding(exchange, queue.name, pattern) for pattern in patterns),
        ),
    )


def joined(*topologies: Topology) -> Topology:
    """All of them in one."""
    return Topology(
        exchanges=tuple(dict.fromkeys(exchange for topology in topologies for exchange in topology.exchanges)),
        queues=tuple(queue for topology in topologies for queue in topology.queues),
        bindings=tuple(binding for topology in topologies for binding in topology.bindings),
    )
