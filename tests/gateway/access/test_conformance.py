"""What every access store promises, and what the one in Redis promises besides."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
import pytest
from redis.asyncio import Redis

from gateway.access import MemoryAccessStore, RedisAccessStore
from gateway.core.access import AccessList, AccessToken, Permission
from gateway.core.errors import NotFound, StoreUnavailable
from gateway.core.ports import AccessStore
from tests.support.eventually import becomes

NOBODYS_PORT = "redis://127.0.0.1:1/0"


def adding(id_: str) -> Callable[[AccessList], AccessList]:
    token = AccessToken(id=id_, name=id_, digest="d", permissions=(Permission.VIEW,), created_at=datetime(2026, 11, 21, tzinfo=UTC))
    return lambda access: msgspec.structs.replace(access, tokens=(*access.tokens, token))


def without(id_: str) -> Callable[[AccessList], AccessList]:
    return lambda access: msgspec.structs.replace(access, tokens=tuple(token for token in access.tokens if token.id != id_))


@asynccontextmanager
async def in_redis(url: str, prefix: str, kept: Path | None = None) -> AsyncIterator[RedisAccessStore]:
    store = RedisAccessStore(url, prefix, last_known_good=kept)
    await store.start()
    yield store
    await store.stop()


async def _known_to(store: AccessStore) -> list[str]:
    return list(store.snapshot.by_id)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[AccessStore]:
    if request.param == "memory":
        yield MemoryAccessStore()
        return
    async with in_redis(request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix")) as store:
        yield store


async def test_a_change_is_in_force_when_it_returns_one_version_on(store: AccessStore) -> None:
    assert (await store.change(adding("a"))).access.version == 1
    assert (await store.change(adding("b"))).access.version == 2
    assert list(store.snapshot.by_id) == ["a", "b"]
    assert (await store.latest()).access == store.snapshot.access


async def test_what_an_edit_raises_goes_on_and_changes_nothing(store: AccessStore) -> None:
    def refuses(_: AccessList) -> AccessList:
        raise NotFound("no such token")

    with pytest.raises(NotFound):
        await store.change(refuses)
    assert store.snapshot.access.version == 0


async def test_changes_at_once_are_all_kept(store: AccessStore) -> None:
    await asyncio.gather(*(store.change(adding(str(number))) for number in range(5)))
    assert sorted(store.snapshot.by_id) == ["0", "1", "2", "3", "4"]


@pytest.mark.services
async def test_a_revoked_token_is_refused_on_every_gateway(redis_url: str, redis_prefix: str) -> None:
    async with in_redis(redis_url, redis_prefix) as here, in_redis(redis_url, redis_prefix) as there:
        await here.change(adding("a"))
        await becomes(partial(_known_to, there), ["a"])
        await here.change(without("a"))
        await becomes(partial(_known_to, there), [])


@pytest.mark.services
async def test_a_redis_that_lost_the_list_gets_it_back_and_no_older_one(redis_url: str, redis_prefix: str) -> None:
    async with in_redis(redis_url, redis_prefix) as store:
        await store.change(adding("a"))
        async with Redis.from_url(redis_url) as redis:
            older = cast("bytes", await redis.get(f"{redis_prefix}access"))
            await store.change(without("a"))
            await redis.set(f"{redis_prefix}access", older)
            assert not (await store.latest()).by_id
            await redis.delete(f"{redis_prefix}access")
            assert (await store.latest()).access.version == 2
            assert await redis.get(f"{redis_prefix}access") is not None


@pytest.mark.services
async def test_while_redis_is_away_the_last_known_good_list_stays_in_force(redis_url: str, redis_prefix: str, tmp_path: Path) -> None:
    kept = tmp_path / "state" / "access.json"
    async with in_redis(redis_url, redis_prefix, kept) as store:
        await store.change(adding("a"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    async with in_redis(NOBODYS_PORT, redis_prefix, kept) as store:
        assert list(store.snapshot.by_id) == ["a"]
        with pytest.raises(StoreUnavailable):
            await store.change(without("a"))
