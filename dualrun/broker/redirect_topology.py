"""Where recalled messages wait for a gateway: one declaration for all who give back and who redirect."""

from __future__ import annotations

from dualrun.broker.port import Binding, Exchange, ExchangeKind, Queue, Topology
from dualrun.contracts.topology import DEAD_LETTERS, REDIRECT_QUEUE, dead_letter_queue, retry_queue

__all__ = ["REDIRECT_LATER", "REDIRECT_TOPOLOGY"]

_DEAD = dead_letter_queue(REDIRECT_QUEUE)
_LATER_MS = 1_000
REDIRECT_LATER = retry_queue(REDIRECT_QUEUE, _LATER_MS)
"""Where a message waits for a second that cannot be redirected now: not in a gateway's hand, where it would stand before those that can."""

REDIRECT_TOPOLOGY = Topology(
    exchanges=(Exchange(DEAD_LETTERS, ExchangeKind.DIRECT),),
    queues=(
        Queue(name=REDIRECT_QUEUE, dead_letter_exchange=DEAD_LETTERS, dead_letter_routing_key=REDIRECT_QUEUE),
        Queue(name=_DEAD),
        Queue(name=REDIRECT_LATER, message_ttl_ms=_LATER_MS, dead_letter_exchange="", dead_letter_routing_key=REDIRECT_QUEUE),
    ),
    bindings=(Binding(DEAD_LETTERS, _DEAD, REDIRECT_QUEUE),),
)
"""Reached through the default exchange; beside it the queue for messages that are no submission's."""
