"""What a worker asks of its inbox, when the inbox itself fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dualrun.inbox import Change, Claim, ClaimRequest, ClaimState, Verb, claim_key
from dualrun.inbox_memory import MemoryInbox
from dualrun.inbox_redis import RedisInbox
from event_handlers.claiming import ClaimDesk
from tests.support.eventually import becomes


class BrokenInbox(MemoryInbox):
    """An inbox that fails, other than by being away, whenever it is asked about a poisonous key, and at every look."""

    looks = 0

    async def claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        if any("poison" in request.key for request in requests):
            raise OverflowError("poison")
        return await super().claim(requests)

    async def change(self, changes: Sequence[Change]) -> None:
        if any("poison" in change.key for change in changes):
            raise OverflowError("poison")
        await super().change(changes)

    async def has_been_looked_into(self) -> bool:
        """For twice as long as a lease."""
        return self.looks >= 6

    async def cancelled(self, keys: Sequence[str]) -> Sequence[bool]:
        self.looks += 1
        raise ValueError("a look")


async def claims_of(desk: ClaimDesk, names: Sequence[str]) -> list[ClaimState | type[BaseException] | None]:
    """What all of them are answered, asked at one time."""
    async with asyncio.timeout(10):
        tickets = await asyncio.gather(*(desk.claim(name, 1) for name in names), return_exceptions=True)
    return [type(told) if isinstance(told, BaseException) else None if told.claim is None else told.claim.state for told in tickets]


async def test_a_claim_that_the_inbox_cannot_deal_with_fails_nobody_but_its_caller() -> None:
    desk = ClaimDesk(BrokenInbox(), "queue")
    ours = ClaimState.OURS
    assert await claims_of(desk, ["a", "b", "poison", "c"]) == [ours, ours, OverflowError, ours]
    assert await claims_of(desk, ["poison", "d"]) == [OverflowError, ours]


async def test_a_change_that_the_inbox_cannot_deal_with_is_not_made_and_the_others_are() -> None:
    inbox = BrokenInbox()
    desk = ClaimDesk(inbox, "queue")
    assert await asyncio.gather(*(desk.cancel(name, keep_s=60.0) for name in ("a", "poison", "b"))) == [True, False, True]
    async with asyncio.timeout(10):
        await desk.stop()
    assert await MemoryInbox.cancelled(inbox, [claim_key("queue", name) for name in ("a", "b")]) == [True, True]


async def test_a_look_that_fails_ends_no_renewing() -> None:
    inbox = BrokenInbox(lease_s=0.3)
    desk = ClaimDesk(inbox, "queue")
    desk.start()
    await desk.claim("a", 1)
    await becomes(inbox.has_been_looked_into, True)
    (answer,) = await inbox.claim([ClaimRequest(claim_key("queue", "a"), "another", 1)])
    assert answer.state is ClaimState.HELD
    await desk.stop()


@pytest.mark.services
async def test_what_redis_cannot_be_sent_fails_nobody_but_its_caller(redis_url: str, redis_prefix: str) -> None:
    inbox = RedisInbox(redis_url, redis_prefix)
    desk = ClaimDesk(inbox, "queue")
    async with asyncio.timeout(10):
        absurd, plain = await asyncio.gather(desk.claim("a", 10**30), desk.claim("b", 1), return_exceptions=True)
        assert isinstance(absurd, OverflowError)
        assert not isinstance(plain, BaseException)
        assert plain.claim == Claim(ClaimState.OURS)
        await desk.stop()
    await inbox.change([Change(Verb.FORGET, claim_key("queue", "b"))])
    await inbox.close()
