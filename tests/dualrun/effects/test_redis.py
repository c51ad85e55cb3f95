"""Redis: writes are effects, a shadow's are answered and not done, reads see the world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import redis
import redis.asyncio

from dualrun.contracts import Role, Side
from dualrun.effects import Execution, execution
from dualrun.effects.answers import Replay

pytestmark = pytest.mark.services

Way: TypeAlias = Callable[[str, str], list[Any]]


def by_client(url: str, prefix: str) -> list[Any]:
    with redis.Redis.from_url(url) as client:
        return [
            client.execute_command("SETEX", f"{prefix}cart", 60, "7"),
            client.hset(f"{prefix}order", mapping={"status": "paid"}),
            client.incr(f"{prefix}count"),
            client.delete(f"{prefix}cart"),
            client.get(f"{prefix}world"),
        ]


def by_pipeline(url: str, prefix: str) -> list[Any]:
    with redis.Redis.from_url(url) as client, client.pipeline() as pipeline:
        pipeline.set(f"{prefix}cart", b"7", px=60_000).hset(f"{prefix}order", "status", "paid").incr(f"{prefix}count")
        pipeline.delete(f"{prefix}cart").get(f"{prefix}world")
        return list(pipeline.execute())


def by_async_client(url: str, prefix: str) -> list[Any]:
    async def run() -> list[Any]:
        async with redis.asyncio.Redis.from_url(url) as client:
            replies: list[Any] = [await client.set(f"{prefix}cart", 7, ex=60)]
            async with client.pipeline(transaction=False) as pipeline:
                pipeline.execute_command("HSET", f"{prefix}order", "status", "paid")
                pipeline.execute_command("INCR", f"{prefix}count")
                replies += await pipeline.execute()
            return [*replies, await client.delete(f"{prefix}cart"), await client.get(f"{prefix}world")]

    return asyncio.run(run())


WAYS: list[Way] = [by_client, by_pipeline, by_async_client]


def running(role: Role) -> Execution:
    return execution(role=role, side=Side.EVENTS, submission_id="s", task="t", recorded=role is Role.AUTHORITY)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("way", WAYS)
def test_the_same_writes_are_the_same_effects_and_a_shadow_does_none(way: Way, role: Role, redis_url: str, redis_prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as outside:
        outside.set(f"{redis_prefix}world", "real")
        with running(role) as run:
            replies = way(redis_url, redis_prefix)
        assert [reply in {True, b"OK"} for reply in replies[:1]] + replies[1:] == [True, 1, 1, 1, b"real"]
        assert [(effect.kind, effect.key.replace(redis_prefix, ""), effect.payload) for effect in run.effects] == [
            ("cache", "SET cart", {"value": "7", "ttl_s": 60.0}),
            ("cache", "HSET order", {"arguments": ["status", "paid"]}),
            ("cache", "INCRBY count", {"arguments": ["1"]}),
            ("cache", "DEL cart", None),
        ]
        assert {effect.performed for effect in run.effects} == {role is Role.AUTHORITY}
        assert outside.exists(f"{redis_prefix}order", f"{redis_prefix}count") == (2 if role is Role.AUTHORITY else 0)


def test_a_shadow_is_replied_as_the_authority_was(redis_url: str, redis_prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"{redis_prefix}count", 41)
        with running(Role.AUTHORITY) as authority:
            assert client.incr(f"{redis_prefix}count") == 42
            assert client.getset(f"{redis_prefix}count", 1) == b"42"
        assert authority.recorder is not None
        with running(Role.SHADOW) as shadow:
            shadow.replay = Replay(authority.recorder.recording().answers)
            assert client.incr(f"{redis_prefix}count") == 42
            assert client.getset(f"{redis_prefix}count", 1) == b"42"
        assert client.get(f"{redis_prefix}count") == b"1"


def test_a_shadow_holds_and_lets_go_of_a_lock_that_is_none(redis_url: str, redis_prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client, running(Role.SHADOW) as run:
        with client.lock(f"{redis_prefix}lock", timeout=5):
            pass
        assert not client.exists(f"{redis_prefix}lock")
    assert run.effects[0].key == f"SET {redis_prefix}lock"
