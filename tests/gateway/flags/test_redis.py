"""Several gateways on one Redis, and Redis going away."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from dualrun.contracts import Mode
from gateway.core.errors import FlagConflict, StoreUnavailable
from gateway.core.flags import Flag
from gateway.flags import RedisFlagStore
from tests.gateway.flags.conftest import PrivateRedis
from tests.support.gating import Way

pytestmark = pytest.mark.services

LEGACY = {"cart.merge_carts": Flag(task="cart.merge_carts")}
EVENTS = {"cart.merge_carts": Flag(task="cart.merge_carts", mode=Mode.EVENTS)}


@asynccontextmanager
async def _running(url: str, prefix: str, kept: Path | None = None) -> AsyncIterator[RedisFlagStore]:
    store = RedisFlagStore(url, prefix, last_known_good=kept)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def _put(store: RedisFlagStore, flags: dict[str, Flag], expected: int | None = None) -> int:
    return (await store.replace(flags, expected_version=expected, author="ann", reason="", source="api")).version


async def _until(fact: Callable[[], bool], timeout_s: float) -> float:
    started = time.monotonic()
    while not fact():
        assert time.monotonic() - started < timeout_s, "did not happen in time"
        await asyncio.sleep(0.002)
    return time.monotonic() - started


async def test_a_flip_reaches_three_gateways_within_a_second(redis_url: str, redis_prefix: str) -> None:
    async with (
        _running(redis_url, redis_prefix) as one,
        _running(redis_url, redis_prefix) as two,
        _running(redis_url, redis_prefix) as three,
    ):
        for version in range(1, 6):
            await _put(one, EVENTS if version % 2 else LEGACY)
            await _until(lambda: two.snapshot == one.snapshot and three.snapshot == one.snapshot, 1.0)
        assert three.snapshot.version == 5


async def test_a_disk_that_hangs_keeps_no_change_from_being_heard(redis_url: str, redis_prefix: str, tmp_path: Path) -> None:
    kept = tmp_path / "flags.json"
    # Opening a pipe that nobody reads blocks, as a disk that hangs does.
    hanging = tmp_path / f"flags.json.{os.getpid()}.new"
    os.mkfifo(hanging)
    async with _running(redis_url, redis_prefix) as one, _running(redis_url, redis_prefix, kept) as two:
        try:
            for version in range(1, 4):
                await _put(one, EVENTS if version % 2 else LEGACY)
                await _until(lambda: two.snapshot == one.snapshot, 1.0)
            assert await _put(two, LEGACY) == 4
        finally:
            reader = os.open(hanging, os.O_RDWR)
            await two.stop()
            os.close(reader)


async def test_a_change_nobody_announced_is_found_by_the_poll(redis_url: str, redis_prefix: str) -> None:
    async with _running(redis_url, redis_prefix) as one:
        await _put(one, LEGACY)
        client = redis.Redis.from_url(redis_url)
        body = client.get(f"{redis_prefix}flags")
        assert isinstance(body, bytes)
        client.set(f"{redis_prefix}flags", body.replace(b'"version":1', b'"version":2'))
        client.close()
        await _until(lambda: one.snapshot.version == 2, 2.0)


async def test_of_two_gateways_changing_at_once_one_gets_a_conflict_and_sees_why(redis_url: str, redis_prefix: str) -> None:
    async with _running(redis_url, redis_prefix) as one, _running(redis_url, redis_prefix) as two:
        results = await asyncio.gather(_put(one, EVENTS, 0), _put(two, LEGACY, 0), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["FlagConflict", "int"]
        loser = one if isinstance(results[0], FlagConflict) else two
        assert loser.snapshot.version == 1


async def test_a_gateway_that_has_not_heard_of_a_version_changes_one_flag_of_it_and_keeps_the_others(
    redis_url: str, redis_prefix: str
) -> None:
    behind = RedisFlagStore(redis_url, redis_prefix)
    async with _running(redis_url, redis_prefix) as ahead:
        await _put(ahead, EVENTS)
        added = Flag(task="order.send", mode=Mode.EVENTS)
        assert behind.snapshot.version == 0
        snapshot = await Way(behind, serves=(added.task,)).change.set(added, author="ann", reason="", source="api", expected_version=1)
        assert (snapshot.version, snapshot.flags) == (2, {**EVENTS, added.task: added})
    await behind.stop()


async def test_history_is_newest_first(redis_url: str, redis_prefix: str) -> None:
    async with _running(redis_url, redis_prefix) as store:
        await _put(store, EVENTS)
        await _put(store, LEGACY)
        assert [(one.version, one.flags) for one in await store.history()] == [(2, LEGACY), (1, EVENTS)]


async def test_history_is_bounded(redis_url: str, redis_prefix: str) -> None:
    async with _running(redis_url, redis_prefix) as store:
        client = redis.Redis.from_url(redis_url)
        client.lpush(f"{redis_prefix}flags:history", *[b"{}"] * 600)
        await _put(store, EVENTS)
        assert client.llen(f"{redis_prefix}flags:history") == 500
        client.close()


async def test_flags_stay_in_force_while_redis_is_away(private_redis: PrivateRedis) -> None:
    async with _running(private_redis.url, "t:") as store:
        await _put(store, EVENTS)
        private_redis.stop()
        with pytest.raises(StoreUnavailable):
            await _put(store, LEGACY)
        assert (store.snapshot.version, store.snapshot.flags) == (1, EVENTS)


async def test_a_version_nobody_remembers_cannot_be_gone_back_to_without_redis(private_redis: PrivateRedis) -> None:
    async with _running(private_redis.url, "t:") as store:
        await _put(store, EVENTS)
        private_redis.stop()
        with pytest.raises(StoreUnavailable):
            await Way(store).roll_back.task("cart.merge_carts", to_version=7, author="ann", reason="", source="api")
        assert (store.snapshot.version, store.snapshot.flags) == (1, EVENTS)


async def test_without_pub_sub_a_rollback_reaches_other_gateways_within_a_second(private_redis: PrivateRedis) -> None:
    client = redis.Redis.from_url(private_redis.url)
    async with _running(private_redis.url, "t:") as one, _running(private_redis.url, "t:") as two:
        await _put(one, EVENTS)
        client.acl_setuser("default", enabled=True, reset_channels=True)
        client.client_kill_filter(_type="pubsub")
        client.close()
        await Way(two).roll_back.everything(to_version=None, author="ann", reason="", source="api")
        await _until(lambda: one.snapshot.flags == LEGACY, 1.0)


async def test_a_gateway_started_without_redis_has_the_last_known_good_flags(private_redis: PrivateRedis, tmp_path: Path) -> None:
    kept = tmp_path / "state" / "flags.json"
    async with _running(private_redis.url, "t:", kept) as store:
        await store.replace_from_file(EVENTS, file_hash="abc", author="file", reason="flags.yaml")
        before = store.snapshot
    private_redis.stop()
    started = time.monotonic()
    async with _running(private_redis.url, "t:", kept) as store:
        assert store.snapshot == before
        assert store.file_hash == "abc"
    assert time.monotonic() - started < 5


async def test_a_damaged_disk_copy_is_no_obstacle(private_redis: PrivateRedis, tmp_path: Path) -> None:
    kept = tmp_path / "flags.json"
    kept.write_bytes(b'{"version": 3')
    async with _running(private_redis.url, "t:", kept) as store:
        assert store.snapshot.version == 0


async def test_a_redis_that_came_back_empty_gets_the_flags_in_force(private_redis: PrivateRedis) -> None:
    async with _running(private_redis.url, "t:") as one, _running(private_redis.url, "t:") as two:
        await _put(one, LEGACY)
        await _put(one, EVENTS)
        await _until(lambda: two.snapshot.version == 2, 1.0)
        private_redis.stop()
        private_redis.start()
        client = redis.Redis.from_url(private_redis.url)
        await _until(lambda: client.exists("t:flags") == 1, 5.0)
        client.close()
        assert await _put(two, LEGACY, 2) == 3
        await _until(lambda: one.snapshot.version == 3, 3.0)


async def test_what_is_put_back_into_an_empty_redis_is_in_its_history(private_redis: PrivateRedis) -> None:
    async with _running(private_redis.url, "t:") as store:
        await _put(store, LEGACY)
        await _put(store, EVENTS)
        private_redis.stop()
        private_redis.start()
        await _put(store, LEGACY)
        assert [kept.version for kept in await store.history()] == [3, 2]


async def test_without_pub_sub_a_change_is_in_force_everywhere_within_a_second(private_redis: PrivateRedis) -> None:
    client = redis.Redis.from_url(private_redis.url)
    client.acl_setuser("default", enabled=True, reset_channels=True)
    client.close()
    async with _running(private_redis.url, "t:") as one, _running(private_redis.url, "t:") as two:
        await _put(one, EVENTS)
        await _until(lambda: two.snapshot == one.snapshot, 1.0)
        await _put(two, LEGACY)
        await _until(lambda: one.snapshot == two.snapshot, 1.0)
        assert one.snapshot.flags == LEGACY


async def test_a_disk_copy_never_overrules_a_live_version(private_redis: PrivateRedis, tmp_path: Path) -> None:
    kept = tmp_path / "flags.json"
    async with _running(private_redis.url, "t:", kept) as store:
        for _ in range(3):
            await _put(store, LEGACY)
    client = redis.Redis.from_url(private_redis.url)
    client.flushall()
    client.close()
    async with _running(private_redis.url, "t:") as store:
        await _put(store, EVENTS)
    async with _running(private_redis.url, "t:", kept) as store:
        assert (store.snapshot.version, store.snapshot.flags) == (1, EVENTS)


async def test_stored_flags_that_cannot_be_read_leave_the_last_good_ones(redis_url: str, redis_prefix: str) -> None:
    async with _running(redis_url, redis_prefix) as store:
        await _put(store, EVENTS)
        client = redis.Redis.from_url(redis_url)
        client.set(f"{redis_prefix}flags", b"not ours")
        client.publish(f"{redis_prefix}flags:changed", b"nor this")
        client.close()
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            await store.probe()
        assert store.snapshot.flags == EVENTS
