"""The flags' past."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from dualrun.contracts import Mode, Safety
from gateway.core.flags import Flag, FlagSnapshot
from gateway.ledger import SqlFlagHistory
from tests.support.records import NOON


def version(number: int, reason: str = "evidence") -> FlagSnapshot:
    flag = Flag(task="shop.*", mode=Mode.CANARY, events_share=100, safety=Safety.PURE)
    return FlagSnapshot(version=number, flags={"shop.*": flag}, changed_at=NOON, author="ann", reason=reason, source="api")


async def test_versions_read_back_newest_first(engine: AsyncEngine) -> None:
    history = SqlFlagHistory(engine)
    for number in (1, 2, 3):
        await history.append(version(number))
    assert await history.versions(limit=2) == [version(3), version(2)]
    assert await history.versions(before=3) == [version(2), version(1)]


async def test_a_version_on_record_never_changes(engine: AsyncEngine) -> None:
    history = SqlFlagHistory(engine)
    await history.append(version(1))
    await history.append(version(1, reason="another"))
    assert await history.versions() == [version(1)]
