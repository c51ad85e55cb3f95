"""What every store of idempotency keys does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.ports import Claim, ClaimState, IdempotencyStore
from gateway.idempotency.memory import MemoryIdempotencyStore
from gateway.idempotency.redis import RedisIdempotencyStore

MakeStore = Callable[[float], IdempotencyStore]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def store_with_lease(request: pytest.FixtureRequest) -> AsyncIterator[MakeStore]:
    """Makes a store whose claims hold for so many seconds."""
    if request.param == "memory":
        yield lambda lease_s: MemoryIdempotencyStore(lease_s=lease_s)
        return
    url, prefix = str(request.getfixturevalue("redis_url")), str(request.getfixturevalue("redis_prefix"))
    made: list[RedisIdempotencyStore] = []

    def make(lease_s: float) -> IdempotencyStore:
        made.append(RedisIdempotencyStore(url, prefix, lease_s=lease_s))
        return made[-1]

    yield make
    for store in made:
        await store.stop()


@pytest.fixture
def store(store_with_lease: MakeStore) -> IdempotencyStore:
    return store_with_lease(30.0)


async def test_the_first_claim_is_new_and_the_next_finds_it_in_progress(store: IdempotencyStore) -> None:
    assert await store.claim("k", "print", "s1") == Claim(ClaimState.NEW, "s1")
    assert await store.claim("k", "print", "s2") == Claim(ClaimState.IN_PROGRESS, "s1")


@pytest.mark.parametrize("response", [b"{}", b"", b"\x00\xff not text \r\n"])
async def test_a_completed_key_gives_the_same_answer_byte_by_byte(store: IdempotencyStore, response: bytes) -> None:
    await store.claim("k", "print", "s1")
    await store.complete("k", response)
    for _ in range(2):
        assert await store.claim("k", "print", "s2") == Claim(ClaimState.DONE, "s1", response)


async def test_another_request_under_the_same_key_is_a_mismatch(store: IdempotencyStore) -> None:
    await store.claim("k", "print", "s1")
    assert (await store.claim("k", "other", "s2")).state is ClaimState.MISMATCH
    await store.complete("k", b"{}")
    assert (await store.claim("k", "other", "s2")).state is ClaimState.MISMATCH
    assert (await store.claim("k", "print", "s3")).state is ClaimState.DONE


async def test_keys_do_not_meet(store: IdempotencyStore) -> None:
    assert (await store.claim("k", "print", "s1")).state is ClaimState.NEW
    assert (await store.claim("k:2", "print", "s2")).state is ClaimState.NEW


async def test_a_claim_nobody_completed_is_free_after_its_lease_under_the_same_submission(store_with_lease: MakeStore) -> None:
    expires_at_once = store_with_lease(0.0)
    await expires_at_once.claim("k", "print", "s1")
    assert await expires_at_once.claim("k", "print", "s2") == Claim(ClaimState.NEW, "s1")
    assert (await expires_at_once.claim("k", "other", "s3")).state is ClaimState.MISMATCH
    await expires_at_once.complete("k", b"{}")
    assert (await expires_at_once.claim("k", "print", "s4")).state is ClaimState.DONE


async def test_a_released_key_is_free_for_any_request(store: IdempotencyStore) -> None:
    await store.claim("k", "print", "s1")
    await store.release("k")
    assert await store.claim("k", "other", "s2") == Claim(ClaimState.NEW, "s2")
    assert (await store.claim("k", "other", "s3")).state is ClaimState.IN_PROGRESS


async def test_the_same_request_keeps_its_submission_after_a_release(store: IdempotencyStore) -> None:
    # An earlier try that was given up may yet get through: the same id makes the two one.
    await store.claim("k", "print", "s1")
    await store.release("k")
    assert await store.claim("k", "print", "s2") == Claim(ClaimState.NEW, "s1")


async def test_what_was_accepted_is_never_released(store: IdempotencyStore) -> None:
    await store.claim("k", "print", "s1")
    await store.complete("k", b"{}")
    await store.release("k")
    assert (await store.claim("k", "print", "s2")).state is ClaimState.DONE


async def test_completing_or_releasing_an_unknown_key_changes_nothing(store: IdempotencyStore) -> None:
    await store.complete("k", b"{}")
    await store.release("k")
    assert (await store.claim("k", "print", "s1")).state is ClaimState.NEW


async def test_of_many_claims_at_once_one_is_new(store: IdempotencyStore) -> None:
    claims = await asyncio.gather(*(store.claim("k", "print", f"s{n}") for n in range(50)))
    (winner,) = [claim for claim in claims if claim.state is ClaimState.NEW]
    assert {claim.submission_id for claim in claims} == {winner.submission_id}


async def test_memory_forgets_keys_after_their_time() -> None:
    now = [0.0]
    store = MemoryIdempotencyStore(keep_s=10.0, clock=lambda: now[0])
    await store.claim("k", "print", "s1")
    now[0] = 11.0
    assert await store.claim("k", "other", "s2") == Claim(ClaimState.NEW, "s2")


async def test_redis_out_of_reach_is_said_so() -> None:
    store = RedisIdempotencyStore("redis://127.0.0.1:1/0", "p:")
    for call in (store.claim("k", "print", "s1"), store.complete("k", b""), store.release("k")):
        with pytest.raises(StoreUnavailable):
            await call
    await store.stop()
