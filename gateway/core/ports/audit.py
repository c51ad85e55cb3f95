"""Where the audit log is kept, and where entries wait while that is away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.audit import AuditEntry, AuditPage, AuditQuery

__all__ = ["AuditLedger", "AuditSpool"]


class AuditLedger(Protocol):
    """The audit log. Nothing in it can be changed or taken out by way of this port."""

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Add them; one that is there already stays as it is. Raises `StoreUnavailable`."""
        ...

    async def page(self, query: AuditQuery) -> AuditPage:
        """Entries, newest first. Raises `StoreUnavailable`."""
        ...


class AuditSpool(Protocol):
    """Outlives the process, needs no server, and never raises: what it cannot do is logged."""

    async def keep(self, entries: Sequence[AuditEntry]) -> None:
        """Have them outlive the process."""
        ...

    async def waiting(self, limit: int) -> Sequence[AuditEntry]:
        """Entries that nobody has dropped, oldest first."""
        ...

    async def drop(self, entries: Sequence[AuditEntry]) -> None:
        """They are in the audit log."""
        ...
