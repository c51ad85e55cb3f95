"""A change never waits for its record, and every record arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.access import FileAuditSpool, MemoryAuditSpool
from gateway.core.audit import AuditEntry, AuditPage, AuditQuery
from gateway.core.errors import StoreUnavailable
from gateway.ledger import MemoryAudit
from gateway.usecases.audit_trail import AuditTrail
from tests.gateway.ledger.test_audit import an_entry
from tests.support.eventually import becomes


class Breakable(MemoryAudit):
    """A ledger that is away until it is back."""

    away = True

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        if self.away:
            raise StoreUnavailable("no connection")
        await super().append(entries)


async def _ids(ledger: MemoryAudit) -> list[str]:
    page: AuditPage = await ledger.page(AuditQuery())
    return sorted(entry.id for entry in page.entries)


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_what_was_done_while_the_ledger_was_away_is_recorded_when_it_is_back(kind: str, tmp_path: Path) -> None:
    spool = MemoryAuditSpool() if kind == "memory" else FileAuditSpool(tmp_path / "audit")
    ledger = Breakable()
    trail = AuditTrail(ledger, spool, again_s=0.01)
    await trail.start()
    trail.note(an_entry(1))
    trail.note(an_entry(2))
    await becomes(lambda: _waits(trail), True)
    ledger.away = False
    await becomes(lambda: _ids(ledger), [an_entry(1).id, an_entry(2).id])
    await trail.stop()
    assert await spool.waiting(10) == []


async def test_a_process_that_ends_leaves_them_to_the_next_one(tmp_path: Path) -> None:
    ledger = Breakable()
    first = AuditTrail(ledger, FileAuditSpool(tmp_path), again_s=10.0)
    await first.start()
    first.note(an_entry(1))
    await first.stop()
    ledger.away = False
    second = AuditTrail(ledger, FileAuditSpool(tmp_path))
    await second.start()
    await becomes(lambda: _ids(ledger), [an_entry(1).id])
    await second.stop()
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_that_fails_keeps_nothing_from_being_recorded(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    ledger = MemoryAudit()
    trail = AuditTrail(ledger, FileAuditSpool(tmp_path / "file"))
    trail.note(an_entry(1))
    await trail.start()
    await becomes(lambda: _ids(ledger), [an_entry(1).id])
    await trail.stop()


async def test_a_file_that_is_no_entry_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / f"{an_entry(1).id}.json").write_text("{")
    ledger = MemoryAudit()
    trail = AuditTrail(ledger, FileAuditSpool(tmp_path))
    await trail.start()
    trail.note(an_entry(2))
    await becomes(lambda: _ids(ledger), [an_entry(2).id])
    await trail.stop()
    assert [path.suffix for path in tmp_path.iterdir()] == [".unreadable"]


async def _waits(trail: AuditTrail) -> bool:
    await asyncio.sleep(0)
    return trail.counts()["waits"] > 0
