"""What every log of notices and every set of leases keeps to."""

from __future__ import annotations

import asyncio

from gateway.core.notice import NoticeType
from tests.gateway.notices.conftest import Shared, notice
from tests.support.eventually import becomes


async def test_notices_have_one_order_and_an_id_stands_there_once(shared: Shared) -> None:
    start = await shared.there.end()
    for number in (1, 2, 1, 3, 2):
        await (shared.here if number % 2 else shared.there).append(notice(number))
    for log in (shared.here, shared.there):
        found = await log.after(start)
        assert [logged.notice for logged in found] == [notice(1), notice(2), notice(3)]
        assert await log.end() == found[-1].position
        assert await log.after(found[-1].position) == []


async def test_a_reader_goes_on_after_any_position_in_steps(shared: Shared) -> None:
    for number in range(5):
        await shared.here.append(notice(number))
    position, seen = "0-0", []
    while found := await shared.there.after(position, limit=2):
        position = found[-1].position
        seen += [logged.notice.data["version"] for logged in found]
    assert seen == [0, 1, 2, 3, 4]


async def test_the_newest_of_a_type_is_known(shared: Shared) -> None:
    assert await shared.here.newest(NoticeType.FLAG_VERSION) is None
    for told in (notice(1), notice(2), notice(9, NoticeType.GATE_VERDICT)):
        await shared.here.append(told)
    assert await shared.there.newest(NoticeType.FLAG_VERSION) == notice(2)
    assert await shared.there.newest(NoticeType.GATE_VERDICT) == notice(9, NoticeType.GATE_VERDICT)


async def test_who_listens_is_woken_by_what_another_process_appends(shared: Shared) -> None:
    for number in range(100):
        # The listener of a process may not have reached Redis yet: then the next notice wakes it.
        appended = shared.there.listen()
        await shared.here.append(notice(number))
        try:
            await asyncio.wait_for(appended.wait(), 0.5)
        except TimeoutError:
            continue
        return
    raise AssertionError("nobody was woken")


async def test_one_holds_a_lease_until_it_lets_go_or_its_time_is_over(shared: Shared) -> None:
    here, there = shared.leases_here, shared.leases_there
    assert await here.hold("chat", "a", 30)
    assert not await there.hold("chat", "b", 30)
    assert await there.hold("other", "b", 30)
    await there.let_go("chat", "b")
    assert await here.hold("chat", "a", 0.05)
    await becomes(lambda: there.hold("chat", "b", 30), True)
    assert not await here.advance("chat", "a", "1-0")
    await there.let_go("chat", "b")
    assert await here.hold("chat", "a", 30)


async def test_a_position_is_kept_by_whoever_holds_the_lease(shared: Shared) -> None:
    assert await shared.leases_here.position("chat") is None
    assert not await shared.leases_here.advance("chat", "a", "1-0")
    await shared.leases_here.hold("chat", "a", 30)
    assert await shared.leases_here.advance("chat", "a", "7-0")
    assert await shared.leases_there.position("chat") == "7-0"
