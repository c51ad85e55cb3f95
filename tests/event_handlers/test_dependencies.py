"""Dependencies: opened once, given to whoever names them, closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
import pytest

from dualrun.contracts import State
from dualrun.errors import ConfigurationError
from event_handlers import Context, OpenDependencies, dependency, handler
from event_handlers.definition import handler_of
from tests.event_handlers.conftest import World

story: list[str] = []


@pytest.fixture(autouse=True)
def no_story() -> None:
    story.clear()


class Pool:
    def __init__(self, name: str) -> None:
        self.name = name


@dependency
async def pool() -> AsyncIterator[Pool]:
    story.append("pool opened")
    yield Pool("real")
    story.append("pool closed")


class Orders:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


@dependency
async def orders(pool: Annotated[Pool, pool]) -> AsyncIterator[Orders]:
    story.append("orders opened")
    yield Orders(pool)
    story.append("orders closed")


@dependency
async def broken(pool: Annotated[Pool, pool]) -> AsyncIterator[int]:
    if pool.name:
        raise OSError("no database")
    yield 1


async def test_a_dependency_is_opened_once_and_closed_after_the_last_event(world: World) -> None:
    @handler(world.task)
    async def work(number: int, *, repository: Annotated[Orders, orders], pool: Annotated[Pool, pool], ctx: Context) -> list[object]:
        assert repository.pool is pool
        story.append(f"event {number}")
        return [number, pool.name, ctx.attempt]

    worker = await world.start(work)
    for number in range(2):
        assert (await world.outcome(await world.submit({"number": number}))).value == [number, "real", 1]
    await worker.stop()
    assert story == ["pool opened", "orders opened", "event 0", "event 1", "orders closed", "pool closed"]


async def test_a_replaced_dependency_is_not_opened(world: World) -> None:
    @handler(world.task)
    async def work(repository: Annotated[Orders, orders]) -> str:
        return repository.pool.name

    await world.start(work, dependencies=OpenDependencies({pool: Pool("fake")}))
    outcome = await world.outcome(await world.submit({}))
    assert (outcome.state, outcome.value) == (State.SUCCEEDED, "fake")
    assert story == ["orders opened"]


async def test_a_payload_cannot_give_a_dependency(world: World) -> None:
    @handler(world.task)
    async def work(repository: Annotated[Orders, orders]) -> None: ...

    await world.start(work)
    outcome = await world.outcome(await world.submit({"repository": 1}))
    assert outcome.failure is not None
    assert outcome.failure.kind == "InvalidPayload"


async def test_what_was_opened_is_closed_when_another_cannot_be(world: World) -> None:
    @handler(world.task)
    async def work(number: Annotated[int, broken]) -> None: ...

    with pytest.raises(OSError, match="no database"):
        await world.start(work)
    assert story == ["pool opened", "pool closed"]


class Payload(msgspec.Struct):
    number: int


def test_a_whole_payload_and_a_dependency_go_together() -> None:
    @handler("whole")
    async def work(payload: Payload, *, pool: Annotated[Pool, pool]) -> None: ...

    found = handler_of(work)
    assert found is not None
    assert found.parameters is not None
    assert [parameter.name for parameter in found.parameters] == ["number"]
    assert list(found.needs) == ["pool"]


def test_what_is_no_dependency_is_refused_by_name() -> None:
    async def plain() -> int:
        return 1

    with pytest.raises(ConfigurationError, match="yields once"):
        dependency(plain)  # type: ignore[arg-type]

    async def strange(url: str) -> AsyncIterator[int]:
        yield 1

    with pytest.raises(ConfigurationError, match="'url'"):
        dependency(strange)
