"""Access tokens and sessions: where they are kept, and who a request comes from."""

from gateway.access.audit_spool import FileAuditSpool, MemoryAuditSpool
from gateway.access.authenticator import Authenticator, Session
from gateway.access.limits import Limits, MemoryRateCounts, RateCounts, RedisRateCounts
from gateway.access.memory import MemoryAccessStore
from gateway.access.redis import RedisAccessStore

__all__ = [
    "Authenticator",
    "FileAuditSpool",
    "Limits",
    "MemoryAccessStore",
    "MemoryAuditSpool",
    "MemoryRateCounts",
    "RateCounts",
    "RedisAccessStore",
    "RedisRateCounts",
    "Session",
]
