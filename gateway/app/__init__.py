"""The only place that wires everything together: the gateway process and the comparator process."""

from __future__ import annotations

from gateway.app.assembly import Parts, assemble
from gateway.app.comparator import Comparing, comparator_of, gate_watch_of, open_comparator, retention_watch_of
from gateway.app.flag_source import follow_flag_source
from gateway.app.gateway import create_app, open_gateway

__all__ = [
    "Comparing",
    "Parts",
    "assemble",
    "comparator_of",
    "create_app",
    "follow_flag_source",
    "gate_watch_of",
    "open_comparator",
    "open_gateway",
    "retention_watch_of",
]
