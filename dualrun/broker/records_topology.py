"""Where records wait for the ledger: one declaration for all who send and receive them, because two that differ exclude each other."""

from __future__ import annotations

from dualrun.broker.port import Binding, Exchange, ExchangeKind, Queue, Topology
from dualrun.contracts.topology import DEAD_LETTERS, RECORDS_QUEUE, dead_letter_queue

__all__ = ["RECORDS_TOPOLOGY"]

_DEAD = dead_letter_queue(RECORDS_QUEUE)

RECORDS_TOPOLOGY = Topology(
    exchanges=(Exchange(DEAD_LETTERS, ExchangeKind.DIRECT),),
    queues=(
        Queue(name=RECORDS_QUEUE, dead_letter_exchange=DEAD_LETTERS, dead_letter_routing_key=_DEAD),
        Queue(name=_DEAD),
    ),
    bindings=(Binding(DEAD_LETTERS, _DEAD, _DEAD),),
)
"""The queue of records, reached through the default exchange, and the one beside it for messages that hold none."""
