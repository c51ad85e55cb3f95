"""A cluster of Redis: writes are effects as by any other client, a shadow's are answered and not done, reads see the world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
import redis
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.cluster import RedisCluster

from dualrun.contracts import Role
from dualrun.errors import ShadowRefused
from tests.dualrun.effects.orders import running
from tests.support.eventually import becomes
from tests.support.own_redis import OwnRedis

pytestmark = pytest.mark.services

Way: TypeAlias = Callable[[str], list[Any]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with OwnRedis(tmp_path_factory.mktemp("cluster"), cluster=True) as server, redis.Redis.from_url(server.url) as node:
        node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)

        async def state() -> object:
            return node.cluster("INFO")["cluster_state"]

        asyncio.run(becomes(state, "ok"))
        yield server.url


@pytest.fixture
def url(cluster: str) -> str:
    with redis.Redis.from_url(cluster) as node:
        node.flushall()
        node.set("world", "there")
    return cluster


def by_client(url: str) -> list[Any]:
    with RedisCluster.from_url(url) as client:
        return [client.set("cart", 7, ex=60), client.incr("count"), client.get("world")]


def by_pipeline(url: str) -> list[Any]:
    with RedisCluster.from_url(url) as client, client.pipeline() as pipeline:
        pipeline.set("cart", 7, ex=60)
        pipeline.incr("count")
        pipeline.get("world")
        return list(pipeline.execute())


def by_async_client(url: str) -> list[Any]:
    async def run() -> list[Any]:
        async with AsyncRedisCluster.from_url(url) as client:
            return [await client.set("cart", 7, ex=60), await client.incr("count"), await client.get("world")]

    return asyncio.run(run())


def by_async_pipeline(url: str) -> list[Any]:
    async def run() -> list[Any]:
        async with AsyncRedisCluster.from_url(url) as client, client.pipeline() as pipeline:
            pipeline.set("cart", 7, ex=60)
            pipeline.incr("count")
            pipeline.get("world")
            return list(await pipeline.execute())

    return asyncio.run(run())


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("way", [by_client, by_pipeline, by_async_client, by_async_pipeline])
def test_every_client_of_a_cluster_leaves_the_same_effects_and_a_shadow_nothing(way: Way, role: Role, url: str) -> None:
    with running(role) as run:
        assert way(url) == [True, 1, b"there"]
    assert [(effect.kind, effect.key, effect.payload) for effect in run.effects] == [
        ("cache", "SET cart", {"value": "7", "ttl_s": 60.0}),
        ("cache", "INCRBY count", {"arguments": ["1"]}),
    ]
    assert {effect.performed for effect in run.effects} == {role is Role.AUTHORITY}
    with redis.Redis.from_url(url) as node:
        assert sorted(node.keys()) == ([b"cart", b"count", b"world"] if role is Role.AUTHORITY else [b"world"])


def test_a_write_that_a_watching_pipeline_does_at_once_is_refused(url: str) -> None:
    with RedisCluster.from_url(url) as client, client.pipeline(transaction=True) as pipeline, running():
        pipeline.watch("{cart}1")
        with pytest.raises(ShadowRefused, match="between WATCH and MULTI"):
            pipeline.set("{cart}1", 1)
    with redis.Redis.from_url(url) as node:
        assert not node.exists("{cart}1")
