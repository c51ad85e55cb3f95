"""The gate beside the comparator: the loop that looks, and the notices of what it says."""

from __future__ import annotations

from gateway.gating.notices import MemoryGateNotices, RedisGateNotices
from gateway.gating.watch import GateWatch

__all__ = ["GateWatch", "MemoryGateNotices", "RedisGateNotices"]
