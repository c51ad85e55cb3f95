"""What the gate says reaches whoever listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.core.gate import Check, CheckName, CheckResult, GateAction, GateVerdict, Unit
from gateway.core.ports import GateNotices
from gateway.gating import MemoryGateNotices, RedisGateNotices
from tests.support.records import NOON
from tests.support.wire import Wire, redis_wire

VERDICT = GateVerdict(
    id="v1",
    task="order.send",
    action=GateAction.ROLL_BACK,
    reason="mismatch: 3 of 40 differ",
    step="canary 1 %",
    flag_version=7,
    changed_to=8,
    checks=(
        Check(name=CheckName.MISMATCH, result=CheckResult.FAIL, unit=Unit.PERCENT, observed=7.5, proven=18.3, limit=1.0, n=40, text="…"),
    ),
    decided_at=NOON,
)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def wire(request: pytest.FixtureRequest) -> AsyncIterator[Wire[GateNotices]]:
    if request.param == "memory":
        notices = MemoryGateNotices()
        yield Wire(notices, notices)
        return
    url, prefix = str(request.getfixturevalue("redis_url")), str(request.getfixturevalue("redis_prefix"))
    async with redis_wire(lambda: RedisGateNotices(url, prefix)) as ends:
        yield ends


async def _listening(notices: GateNotices) -> asyncio.Task[GateVerdict]:
    """Somebody who waits for the next verdict, and got as far as waiting."""

    async def next_verdict() -> GateVerdict:
        return await anext(notices.verdicts())

    task = asyncio.create_task(next_verdict())
    await asyncio.sleep(0)
    return task


async def test_a_verdict_arrives_whole_at_everybody_who_listens(wire: Wire[GateNotices]) -> None:
    first, second = await _listening(wire.there), await _listening(wire.there)
    await wire.here.publish(VERDICT)
    assert [await asyncio.wait_for(listening, 10) for listening in (first, second)] == [VERDICT, VERDICT]


async def test_a_listener_that_does_not_read_loses_the_oldest() -> None:
    notices = MemoryGateNotices()
    verdicts = notices.verdicts()
    first = asyncio.ensure_future(anext(verdicts))
    await asyncio.sleep(0)
    for n in range(150):
        await notices.publish(replace(VERDICT, flag_version=n))
    assert (await first).flag_version == 50


async def test_without_redis_a_verdict_still_reaches_this_process() -> None:
    notices = RedisGateNotices("redis://127.0.0.1:1/0", "p:")
    listening = await _listening(notices)
    await notices.publish(VERDICT)
    assert await asyncio.wait_for(listening, 10) == VERDICT
    await notices.stop()
