"""Record who changed what. A change never waits for its record: a rollback works with the ledger down, and is recorded when it is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from dualrun.background import cancelled
from gateway.core.audit import AuditEntry, AuditPage, AuditQuery
from gateway.core.errors import StoreUnavailable
from gateway.core.ports.audit import AuditLedger, AuditSpool

__all__ = ["AuditTrail"]

log = logging.getLogger(__name__)

_AT_ONCE = 200
_AGAIN_S = 2.0
_STORE_S = 5.0


class AuditTrail:
    """Entries are logged at once, spooled, and then written to the ledger by a task of its own; several processes may share a spool."""

    def __init__(self, ledger: AuditLedger, spool: AuditSpool, *, again_s: float = _AGAIN_S) -> None:
        self._ledger = ledger
        self._spool = spool
        self._again_s = again_s
        self._new: list[AuditEntry] = []
        self._noted = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._counts = {"recorded": 0, "waits": 0, "failures": 0}

    def counts(self) -> Mapping[str, int]:
        """What became of entries in this process."""
        return dict(self._counts)

    async def start(self) -> None:
        """Begin to record, what an earlier process left in the spool too."""
        self._running = asyncio.create_task(self._run(), name="audit trail")

    async def stop(self) -> None:
        """What is not in the ledger by then is in the spool."""
        await cancelled(self._running)
        await self._record()

    def note(self, entry: AuditEntry) -> None:
        """Record it, some time soon. Never raises, never waits."""
        extra = {name: getattr(entry, name) for name in ("id", "actor", "via", "address", "action", "target", "reason", "status")}
        log.info("audit", extra={f"audit_{name}": value for name, value in extra.items()})
        self._new.append(entry)
        self._noted.set()

    async def page(self, query: AuditQuery) -> AuditPage:
        """Entries, newest first, this process's own latest included. Raises `StoreUnavailable`."""
        return await self._ledger.page(query)

    async def _run(self) -> None:
        while True:
            self._noted.clear()
            try:
                written = await self._record()
            except Exception as exc:  # noqa: BLE001  # consumer loop: an entry that cannot be written must not end the recording
                self._counts["failures"] += 1
                log.error("audit_failed", extra={"error": type(exc).__name__})
                written = False
            if written and not self._new:
                await self._noted.wait()
            elif not written:
                await asyncio.sleep(self._again_s)

    async def _record(self) -> bool:
        """Whether everything there was is in the ledger."""
        new, self._new = self._new, []
        await self._spool.keep(new)
        while entries := await self._spool.waiting(_AT_ONCE):
            try:
                await asyncio.wait_for(self._ledger.append(entries), _STORE_S)
            except (StoreUnavailable, TimeoutError) as exc:
                self._counts["waits"] += 1
                log.warning("audit_waits", extra={"entries": len(entries), "reason": str(exc)})
                return False
            await self._spool.drop(entries)
            self._counts["recorded"] += len(entries)
        return True
