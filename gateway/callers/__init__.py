"""What callers do with tasks, counted: in Redis for all gateways, in memory for one process."""

from __future__ import annotations

from gateway.callers.memory import MemoryCallerCounts
from gateway.callers.redis import RedisCallerCounts

__all__ = ["MemoryCallerCounts", "RedisCallerCounts"]
