"""What every board of breakers does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from dualrun.breakers import BreakerBoard, Standing
from dualrun.breakers_memory import MemoryBreakerBoard
from dualrun.breakers_redis import RedisBreakerBoard
from gateway.catalogue import RedisBreakers
from gateway.core.errors import StoreUnavailable
from gateway.core.ports import BreakerReader
from tests.support.eventually import becomes

Boards = tuple[Callable[[], BreakerBoard], BreakerReader]
CLOSED = Standing(failures=0, open_s=None)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def boards(request: pytest.FixtureRequest) -> AsyncIterator[Boards]:
    """The boards of several processes of a service, and what the gateway reads of them."""
    if request.param == "memory":
        memory = MemoryBreakerBoard("shop")
        yield (lambda: memory), memory
        return
    url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix")
    made: list[RedisBreakerBoard] = []

    def make() -> RedisBreakerBoard:
        made.append(RedisBreakerBoard(url, prefix, "shop"))
        return made[-1]

    reader = RedisBreakers(url, prefix)
    yield make, reader
    for board in made:
        await board.close()
    await reader.stop()


async def test_a_new_circuit_is_closed_and_shown(boards: Boards) -> None:
    make, reader = boards
    assert await make().look("bank", 3, 5.0) == CLOSED
    (shown,) = await reader.read()
    assert (shown.service, shown.name, shown.state, shown.failures, shown.failures_max) == ("shop", "bank", "closed", 0, 3)
    assert (shown.open_s, shown.opened_at) == (None, None)


async def test_failures_of_several_are_counted_together_and_open_it_for_all(boards: Boards) -> None:
    make, reader = boards
    one, other = make(), make()
    assert await one.failed("bank", 3, 5.0) == Standing(failures=1, open_s=None)
    assert await other.failed("bank", 3, 5.0) == Standing(failures=2, open_s=None)
    for standing in (await one.failed("bank", 3, 5.0), await other.look("bank", 3, 5.0)):
        assert standing is not None
        assert standing.failures == 3
        assert 4.0 < (standing.open_s or 0.0) <= 5.0
    (shown,) = await reader.read()
    assert (shown.state, shown.failures) == ("open", 3)
    assert shown.opened_at is not None
    assert 0.0 <= (shown.used_at - shown.opened_at).total_seconds() < 5.0


async def test_a_success_closes_it_and_begins_the_count_anew(boards: Boards) -> None:
    make, reader = boards
    board = make()
    await board.failed("bank", 1, 5.0)
    await board.succeeded("bank")
    await board.succeeded("never seen")
    assert await board.look("bank", 1, 5.0) == CLOSED
    assert await board.failed("bank", 2, 5.0) == Standing(failures=1, open_s=None)
    assert [(shown.name, shown.state, shown.opened_at) for shown in await reader.read()] == [("bank", "closed", None)]


async def test_half_open_one_may_try_and_its_failure_opens_it_again(boards: Boards) -> None:
    make, reader = boards
    one, other = make(), make()
    await one.failed("bank", 1, 0.05)
    await becomes(lambda: one.look("bank", 1, 0.05), Standing(failures=1, open_s=0.0))
    assert [shown.state for shown in await reader.read()] == ["half_open"]
    assert await one.begin_trial("bank", 9.0) == 0.0
    assert 8.0 < (await other.begin_trial("bank", 9.0) or 0.0) <= 9.0
    again = await one.failed("bank", 1, 9.0)
    assert again is not None
    assert 8.0 < (again.open_s or 0.0) <= 9.0
    assert await other.begin_trial("bank", 9.0) == 0.0


async def test_a_failure_that_was_under_way_does_not_keep_it_open_longer(boards: Boards) -> None:
    make, _ = boards
    board = make()
    await board.failed("bank", 1, 1.0)
    late = await board.failed("bank", 1, 100.0)
    assert late is not None
    assert (late.open_s or 0.0) <= 1.0


@pytest.mark.services
async def test_services_do_not_share_circuits_of_one_name(redis_url: str, redis_prefix: str) -> None:
    shop, depot = (RedisBreakerBoard(redis_url, redis_prefix, service) for service in ("shop", "depot"))
    await shop.failed("bank", 1, 5.0)
    assert await depot.look("bank", 1, 5.0) == CLOSED
    await shop.close()
    await depot.close()


async def test_redis_out_of_reach_is_nobodys_failure_and_told_to_who_reads() -> None:
    board, reader = RedisBreakerBoard("redis://127.0.0.1:1/0", "p:", "shop"), RedisBreakers("redis://127.0.0.1:1/0", "p:")
    assert await board.look("bank", 1, 5.0) is None
    assert await board.failed("bank", 1, 5.0) is None
    assert await board.begin_trial("bank", 5.0) is None
    await board.succeeded("bank")
    with pytest.raises(StoreUnavailable):
        await reader.read()
    await board.close()
    await reader.stop()
