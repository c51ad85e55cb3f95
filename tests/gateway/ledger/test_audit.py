"""The audit log, kept in memory and in SQL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.core.audit import AuditEntry, AuditQuery
from gateway.core.ports import AuditLedger
from gateway.ledger import MemoryAudit, SqlAudit
from tests.support.records import NOON


def an_entry(number: int, **changes: object) -> AuditEntry:
    entry = AuditEntry(
        id=f"019aa3c2-7d5e-7c31-9b1e-{number:012d}",
        at=NOON + timedelta(seconds=number),
        actor="ann",
        via="token",
        credential="0123456789ab",
        address="192.0.2.7",
        action="flag.rollback",
        target="order.confirm",
        reason="double mails",
        detail="{}",
        status=200,
    )
    return msgspec.structs.replace(entry, **changes)


async def _keeps_its_promises(audit: AuditLedger) -> None:
    first, second = an_entry(1), an_entry(2, actor="bob", action="token.create", target="x\x00y", reason="'; DROP TABLE audit; --")
    await audit.append([first])
    await audit.append([second, msgspec.structs.replace(first, reason="another reason")])
    page = await audit.page(AuditQuery())
    assert [(entry.id, entry.actor) for entry in page.entries] == [(second.id, "bob"), (first.id, "ann")]
    assert page.entries[1] == first, "an entry that is there stays as it is"
    assert [entry.id for entry in (await audit.page(AuditQuery(actor="ann"))).entries] == [first.id]
    assert [entry.id for entry in (await audit.page(AuditQuery(action="token.create"))).entries] == [second.id]
    assert [entry.id for entry in (await audit.page(AuditQuery(target="order.confirm", actor="bob"))).entries] == []
    newest = await audit.page(AuditQuery(limit=1))
    assert newest.next_before == second.id
    older = await audit.page(AuditQuery(limit=1, before=newest.next_before))
    assert ([entry.id for entry in older.entries], older.next_before) == ([first.id], None)


async def test_in_memory_entries_are_appended_and_found() -> None:
    await _keeps_its_promises(MemoryAudit())


async def test_in_sql_entries_are_appended_and_found(engine: AsyncEngine) -> None:
    await _keeps_its_promises(SqlAudit(engine))


@pytest.mark.parametrize("verb", ["update", "delete", "clear", "replace"])
def test_nothing_changes_an_entry(verb: str) -> None:
    assert not any(verb in name for name in vars(SqlAudit))
    assert f".{verb}(" not in (Path(__file__).parents[3] / "gateway" / "ledger" / "audit.py").read_text()
