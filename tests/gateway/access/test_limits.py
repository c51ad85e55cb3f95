"""How fast a caller may be, in all gateways together; and how many may wait."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.access import Limits, MemoryRateCounts, RedisRateCounts
from gateway.access.limits import WINDOW_S
from gateway.core.access import Identity, Via
from gateway.core.errors import StoreUnavailable, TooManyRequests

ANN = Identity(name="ann", via=Via.TOKEN, permissions=frozenset(), credential="a")
BOB = Identity(name="bob", via=Via.TOKEN, permissions=frozenset(), credential="b")
FAST = Identity(name="fast", via=Via.TOKEN, permissions=frozenset(), credential="f", rate_per_s=1_000)
NOON = 1_000_000.0


class Away(MemoryRateCounts):
    """A store that does not answer."""

    async def add(self, window: int, counts: Mapping[str, int]) -> Mapping[str, int]:
        raise StoreUnavailable("no answer")


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


def accepted(limits: Limits, caller: Identity, times: int = 100) -> int:
    return sum(_is_accepted(limits, caller) for _ in range(times))


def _is_accepted(limits: Limits, caller: Identity) -> bool:
    try:
        limits.request_of(caller)
    except TooManyRequests:
        return False
    return True


def test_who_is_refused_is_told_when_the_window_ends() -> None:
    clock = Clock()
    clock.now += 3.5
    limits = Limits(MemoryRateCounts(), rate_per_s=0.1, max_waits=10, clock=clock)
    limits.request_of(ANN)
    with pytest.raises(TooManyRequests) as refused:
        limits.request_of(ANN)
    assert refused.value.retry_after_s == 7


def test_a_caller_is_slowed_down_alone_and_for_a_while() -> None:
    clock = Clock()
    limits = Limits(MemoryRateCounts(), rate_per_s=2, max_waits=10, clock=clock)
    assert (accepted(limits, ANN), accepted(limits, BOB), accepted(limits, FAST)) == (20, 20, 100)
    assert limits.refused == 160
    clock.now += WINDOW_S
    assert accepted(limits, ANN) == 20


def test_no_limit_is_no_limit() -> None:
    assert accepted(Limits(MemoryRateCounts(), rate_per_s=0, max_waits=10), ANN, 1_000) == 1_000


@pytest.mark.parametrize("kind", ["memory", pytest.param("redis", marks=pytest.mark.services)])
async def test_gateways_count_together(kind: str, request: pytest.FixtureRequest) -> None:
    stores = [MemoryRateCounts()] * 2
    if kind == "redis":
        place = request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix")
        stores = [RedisRateCounts(*place), RedisRateCounts(*place)]  # type: ignore[list-item]  # either kind
    here, there = (Limits(store, rate_per_s=2, max_waits=10, clock=Clock()) for store in stores)
    assert accepted(here, ANN, 15) == 15
    await here.exchange()
    # It hears of the others with its own next exchange.
    assert accepted(there, ANN, 1) == 1
    await there.exchange()
    assert accepted(there, ANN) == 4
    for store in stores:
        await store.stop()


async def test_while_redis_is_away_each_gateway_counts_for_itself() -> None:
    limits = Limits(Away(), rate_per_s=2, max_waits=10, clock=Clock())
    assert accepted(limits, ANN, 15) == 15
    with pytest.raises(StoreUnavailable):
        await limits.exchange()
    assert accepted(limits, ANN) == 5


def test_failures_are_limited_by_address_and_keep_nobody_out_who_is_known() -> None:
    limits = Limits(MemoryRateCounts(), rate_per_s=100, max_waits=10, clock=Clock())
    for _ in range(10):
        limits.failure_from("192.0.2.7")
    with pytest.raises(TooManyRequests):
        limits.failure_from("192.0.2.7")
    limits.failure_from("192.0.2.8")
    assert accepted(limits, ANN, 5) == 5


def test_one_caller_cannot_take_every_place_to_wait_in() -> None:
    limits = Limits(MemoryRateCounts(), rate_per_s=0, max_waits=4)
    with limits.waiting(ANN):
        with pytest.raises(TooManyRequests), limits.waiting(ANN):
            pass
        with limits.waiting(BOB):
            pass
    with limits.waiting(ANN):
        pass
