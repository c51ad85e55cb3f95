"""Every flag version and every word of the gate is told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import msgspec

from dualrun.contracts import Mode
from gateway.core.flags import Flag
from gateway.core.gate import GateAction, GateVerdict
from gateway.core.notice import Notice
from gateway.core.ports import FlagStore, NoticeLog
from gateway.flags import MemoryFlagStore
from gateway.gating import MemoryGateNotices
from gateway.notices import MemoryNoticeLog, NoticeTeller
from tests.gateway.notices.conftest import NOON
from tests.support.eventually import becomes

VERDICT = GateVerdict(
    id="v1", task="a", action=GateAction.ROLL_BACK, reason="3 of 40 differ", step="canary 1 %", flag_version=1, decided_at=NOON
)


@asynccontextmanager
async def telling(flags: FlagStore, gate: MemoryGateNotices, log: NoticeLog) -> AsyncIterator[None]:
    teller = NoticeTeller(flags, gate, log)
    await teller.start()
    try:
        yield
    finally:
        await teller.stop()


async def change(flags: MemoryFlagStore, share: int) -> None:
    flag = Flag(task="a", mode=Mode.CANARY, events_share=share)
    await flags.replace({"a": flag}, expected_version=None, author="ann", reason="monday", source="cli")


async def told(log: MemoryNoticeLog) -> list[Notice]:
    return [logged.notice for logged in await log.after("0-0")]


async def count(log: MemoryNoticeLog) -> int:
    return len(await told(log))


async def published(gate: MemoryGateNotices, log: MemoryNoticeLog) -> bool:
    await gate.publish(VERDICT)
    return bool(await told(log))


async def test_each_version_is_told_once_whatever_number_of_gateways_tells_it() -> None:
    flags, gate, log = MemoryFlagStore(), MemoryGateNotices(), MemoryNoticeLog()
    async with telling(flags, gate, log), telling(flags, gate, log):
        for share in (1, 2, 3):
            await change(flags, share)
        await becomes(partial(count, log), 3)
    first, _, third = await told(log)
    assert (first.id, first.data["author"], first.data["reason"], first.data["source"]) == ("flag-version-1", "ann", "monday", "cli")
    assert msgspec.json.decode(msgspec.json.encode(third.data["changes"])) == [
        {"task": "a", "kind": "changed", "members": [{"member": "events_percent", "before": 0.002, "after": 0.003}]}
    ]


async def test_versions_made_while_no_gateway_was_up_are_told_when_one_is() -> None:
    flags, gate, log = MemoryFlagStore(), MemoryGateNotices(), MemoryNoticeLog()
    for share in (1, 2):
        await change(flags, share)

    async with telling(flags, gate, log):
        await becomes(partial(count, log), 1)
    for share in (3, 4, 5):
        await change(flags, share)
    async with telling(flags, gate, log):
        await becomes(partial(count, log), 4)
    # What was before anybody ever told is no news, but for what is in force.
    assert [notice.data["version"] for notice in await told(log)] == [2, 3, 4, 5]


async def test_a_verdict_of_the_gate_is_told_whole_and_once() -> None:
    flags, gate, log = MemoryFlagStore(), MemoryGateNotices(), MemoryNoticeLog()
    async with telling(flags, gate, log), telling(flags, gate, log):
        # A teller listens once it has had its turn.
        await becomes(partial(published, gate, log), True)
        await gate.publish(replace(VERDICT, id="v2"))
        await becomes(partial(count, log), 2)
    first, second = await told(log)
    assert (first.id, first.type, first.data["action"], first.data["task"]) == ("gate-verdict-v1", "gate.verdict", "roll_back", "a")
    assert second.id == "gate-verdict-v2"
