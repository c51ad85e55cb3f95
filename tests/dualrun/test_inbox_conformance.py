"""What every inbox does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from dualrun.inbox import Change, Claim, ClaimRequest, ClaimState, Inbox, InboxUnavailable, Verb
from dualrun.inbox_memory import MemoryInbox
from dualrun.inbox_redis import RedisInbox
from tests.support.eventually import becomes

MakeInbox = Callable[[float], Inbox]
OURS = Claim(ClaimState.OURS)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def inbox_with_lease(request: pytest.FixtureRequest) -> AsyncIterator[MakeInbox]:
    """Makes an inbox whose claims hold for so many seconds."""
    made: list[Inbox] = []

    def make(lease_s: float) -> Inbox:
        if request.param == "memory":
            made.append(MemoryInbox(lease_s=lease_s))
        else:
            made.append(RedisInbox(request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix"), lease_s=lease_s))
        return made[-1]

    if request.param == "redis":
        request.getfixturevalue("redis_prefix")
    yield make
    for inbox in made:
        await inbox.close()


@pytest.fixture
def inbox(inbox_with_lease: MakeInbox) -> Inbox:
    return inbox_with_lease(30.0)


async def claim(inbox: Inbox, token: str, *, key: str = "k", attempt: int = 1) -> Claim:
    (answer,) = await inbox.claim([ClaimRequest(key, token, attempt)])
    return answer


async def test_the_first_claim_is_ours_and_the_next_finds_it_held(inbox: Inbox) -> None:
    assert await claim(inbox, "a") == OURS
    held = await claim(inbox, "b")
    assert held.state is ClaimState.HELD
    assert 25.0 < held.held_s <= 30.0


async def test_asking_again_with_the_same_token_is_answered_the_same(inbox: Inbox) -> None:
    assert [await claim(inbox, "a"), await claim(inbox, "a")] == [OURS, OURS]


async def test_many_requests_are_answered_in_order_and_two_for_one_key_once(inbox: Inbox) -> None:
    first, second, other = await inbox.claim([ClaimRequest("k", "a", 1), ClaimRequest("k", "b", 1), ClaimRequest("k2", "c", 1)])
    assert (first, second.state, other) == (OURS, ClaimState.HELD, OURS)


async def test_of_many_claims_at_once_one_is_ours(inbox: Inbox) -> None:
    claims = await asyncio.gather(*(claim(inbox, f"t{number}") for number in range(50)))
    assert [answer.state for answer in claims].count(ClaimState.OURS) == 1


@pytest.mark.parametrize("result", [b"{}", b"", b"\x00\xff not text \r\n"])
async def test_what_is_completed_gives_its_result_byte_by_byte(inbox: Inbox, result: bytes) -> None:
    await claim(inbox, "a")
    await inbox.change([Change(Verb.COMPLETE, "k", "a", result)])
    for attempt in (1, 2):
        assert await claim(inbox, "b", attempt=attempt) == Claim(ClaimState.DONE, result=result)


async def test_the_first_completion_stays(inbox: Inbox) -> None:
    await inbox.change([Change(Verb.COMPLETE, "k", "a", b"first"), Change(Verb.COMPLETE, "k", "b", b"second")])
    assert (await claim(inbox, "c")).result == b"first"


async def test_what_was_settled_is_known_to_be_done_without_its_result(inbox: Inbox) -> None:
    await inbox.change([Change(Verb.COMPLETE, "k", "a", b"result"), Change(Verb.SETTLE, "k")])
    assert await claim(inbox, "b") == Claim(ClaimState.DONE)


async def test_what_is_not_done_is_not_settled(inbox: Inbox) -> None:
    await claim(inbox, "a")
    await inbox.change([Change(Verb.SETTLE, "k")])
    assert (await claim(inbox, "b")).state is ClaimState.HELD


async def test_a_lease_that_nobody_renews_runs_out(inbox_with_lease: MakeInbox) -> None:
    inbox = inbox_with_lease(0.1)
    await claim(inbox, "a")
    await becomes(lambda: claim(inbox, "b"), Claim(ClaimState.OURS, lost=1))


async def test_a_renewed_lease_begins_anew_for_its_holder_only(inbox_with_lease: MakeInbox) -> None:
    short, long = inbox_with_lease(5.0), inbox_with_lease(30.0)
    if isinstance(short, MemoryInbox):
        long = short  # its entries are its own
    await claim(short, "a")
    if isinstance(short, MemoryInbox):
        short.lease_s = 30.0
    await long.change([Change(Verb.RENEW, "k", "somebody")])
    assert (await claim(long, "b")).held_s <= 5.0
    await long.change([Change(Verb.RENEW, "k", "a")])
    assert (await claim(long, "b")).held_s > 25.0


async def test_a_released_claim_is_free(inbox: Inbox) -> None:
    await claim(inbox, "a")
    await inbox.change([Change(Verb.RELEASE, "k", "somebody")])
    assert (await claim(inbox, "b")).state is ClaimState.HELD
    await inbox.change([Change(Verb.RELEASE, "k", "a")])
    assert await claim(inbox, "b") == OURS


async def test_released_for_a_later_attempt_earlier_ones_are_superseded(inbox: Inbox) -> None:
    await claim(inbox, "a", attempt=9)
    await inbox.change([Change(Verb.RELEASE, "k", "a", next_attempt=10)])
    assert await claim(inbox, "b", attempt=9) == Claim(ClaimState.SUPERSEDED)
    assert await claim(inbox, "c", attempt=10) == OURS


async def test_what_is_done_is_neither_released_nor_renewed(inbox: Inbox) -> None:
    await claim(inbox, "a")
    await inbox.change(
        [
            Change(Verb.COMPLETE, "k", "a", b"r"),
            Change(Verb.RELEASE, "k", "a"),
            Change(Verb.RENEW, "k", "a"),
            Change(Verb.RELEASE, "k", "a", b"", 2),
        ]
    )
    assert await claim(inbox, "b") == Claim(ClaimState.DONE, result=b"r")


async def test_what_is_forgotten_is_new_again(inbox: Inbox) -> None:
    await inbox.change([Change(Verb.COMPLETE, "k", "a", b"r"), Change(Verb.FORGET, "k"), Change(Verb.FORGET, "never seen")])
    assert await claim(inbox, "b") == OURS


async def test_memory_forgets_what_is_past_its_time() -> None:
    now = [0.0]
    inbox = MemoryInbox(keep_s=10.0, settled_keep_s=1.0, clock=lambda: now[0])
    await inbox.change([Change(Verb.COMPLETE, "k", "a", b"r")])
    now[0] = 11.0
    assert await claim(inbox, "b", key="other") == OURS
    assert inbox._entries.keys() == {"other"}


async def test_redis_out_of_reach_is_said_so() -> None:
    inbox = RedisInbox("redis://127.0.0.1:1/0", "p:")
    with pytest.raises(InboxUnavailable):
        await claim(inbox, "a")
    with pytest.raises(InboxUnavailable):
        await inbox.change([Change(Verb.FORGET, "k")])
    await inbox.close()


async def test_what_is_cancelled_is_nobodys_to_run(inbox: Inbox) -> None:
    assert await claim(inbox, "a") == OURS
    await inbox.change([Change(Verb.CANCEL, "k"), Change(Verb.CANCEL, "never-seen")])
    assert await claim(inbox, "a") == Claim(ClaimState.CANCELLED)
    assert await claim(inbox, "b", key="never-seen") == Claim(ClaimState.CANCELLED)
    assert await inbox.cancelled(["k", "other", "never-seen"]) == [True, False, True]
    assert await inbox.cancelled([]) == []


async def test_what_is_done_cannot_be_cancelled_and_what_is_cancelled_may_still_be_done(inbox: Inbox) -> None:
    await inbox.change([Change(Verb.COMPLETE, "k", result=b"r"), Change(Verb.CANCEL, "k")])
    assert await claim(inbox, "a") == Claim(ClaimState.DONE, result=b"r")
    await inbox.change([Change(Verb.CANCEL, "late"), Change(Verb.COMPLETE, "late", result=b"r")])
    assert await claim(inbox, "a", key="late") == Claim(ClaimState.DONE, result=b"r")


async def test_a_claim_that_ran_out_counts_as_lost_and_one_that_was_given_back_does_not(inbox_with_lease: MakeInbox) -> None:
    inbox = inbox_with_lease(0.1)

    async def lose(token: str) -> None:
        before = await claim(inbox, token)
        assert before.state is ClaimState.OURS
        await becomes(lambda: _is_free(inbox, f"{token}?"), True)

    async def _is_free(inbox: Inbox, token: str) -> bool:
        """Whether it can be had; what looks gives it back."""
        answer = await claim(inbox, token)
        await inbox.change([Change(Verb.RELEASE, "k", token)])
        return answer.state is ClaimState.OURS

    await lose("a")
    await lose("b")
    assert [await claim(inbox, "c"), await claim(inbox, "c")] == [Claim(ClaimState.OURS, lost=2)] * 2
    await inbox.change([Change(Verb.RELEASE, "k", "c")])
    assert await claim(inbox, "d") == Claim(ClaimState.OURS, lost=2)


@pytest.mark.parametrize(
    "end",
    [
        [Change(Verb.FORGET, "k")],
        [Change(Verb.RELEASE, "k", "b", next_attempt=2)],
        [Change(Verb.COMPLETE, "k", "b", b"r"), Change(Verb.FORGET, "k")],
    ],
    ids=["forgotten", "another attempt", "completed"],
)
async def test_what_was_lost_is_counted_until_an_attempt_ends(inbox_with_lease: MakeInbox, end: list[Change]) -> None:
    inbox = inbox_with_lease(0.5)
    await claim(inbox, "a")
    await becomes(lambda: claim(inbox, "b"), Claim(ClaimState.OURS, lost=1))
    await inbox.change(end)
    assert await claim(inbox, "c", attempt=2) == OURS


async def test_memory_forgets_what_was_lost_long_ago() -> None:
    now = [0.0]
    inbox = MemoryInbox(lease_s=1.0, keep_s=10.0, settled_keep_s=1.0, clock=lambda: now[0])
    await claim(inbox, "a")
    now[0] = 11.0
    assert await claim(inbox, "b") == OURS
    now[0] = 30.0
    await claim(inbox, "c", key="other")
    assert inbox._taken.keys() == {"other"}
