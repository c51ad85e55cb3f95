"""Where notices about flags go: a fan-out exchange, and a queue for each process that listens."""

from __future__ import annotations

from dualrun.broker.port import Binding, Exchange, ExchangeKind, Overflow, Queue, Topology
from dualrun.contracts.topology import FLAGS_EXCHANGE

__all__ = ["flags_topology"]

_KEPT_MS = 60_000
_KEPT = 1_000


def flags_topology(listener: str) -> Topology:
    """The queue of one listener. It outlives a short loss of the connection, and goes a minute after its process."""
    name = f"{FLAGS_EXCHANGE}.{listener}"
    queue = Queue(name=name, max_length=_KEPT, overflow=Overflow.DROP_HEAD, message_ttl_ms=_KEPT_MS, expires_ms=_KEPT_MS)
    return Topology(
        exchanges=(Exchange(FLAGS_EXCHANGE, ExchangeKind.FANOUT),), queues=(queue,), bindings=(Binding(FLAGS_EXCHANGE, name, ""),)
    )
