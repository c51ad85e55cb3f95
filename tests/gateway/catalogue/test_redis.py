"""What the Redis catalogue does when Redis is not there."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from dualrun.announce_redis import RedisAnnouncer, workers_key
from dualrun.contracts import Announcement, ServedTask, Side
from gateway.catalogue import RedisCatalogue
from tests.support.eventually import becomes
from tests.support.private_redis import PrivateRedis

NOWHERE = "redis://127.0.0.1:1/0"
SAID = Announcement(worker="a:1", side=Side.EVENTS, service="shop", tasks=(ServedTask(task="cart.add"),))


def test_an_announcer_without_redis_never_raises_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    announcer = RedisAnnouncer(NOWHERE, "x:")
    with caplog.at_level(logging.WARNING):
        announcer.announce(SAID)
        announcer.announce(SAID)
        announcer.withdraw(SAID)
    announcer.close()
    assert [record.message for record in caplog.records] == ["announcement_unheard"]


async def test_a_start_without_redis_serves_nothing_and_does_not_raise() -> None:
    catalogue = RedisCatalogue(NOWHERE, "x:")
    await catalogue.start()
    assert list(catalogue.names()) == []
    await catalogue.stop()


@pytest.mark.services
async def test_the_file_answers_for_a_start_without_redis(redis_url: str, redis_prefix: str, tmp_path: Path) -> None:
    kept_at = tmp_path / "kept" / "catalogue.json"
    announcer = RedisAnnouncer(redis_url, redis_prefix)
    await asyncio.to_thread(announcer.announce, SAID)
    announcer.close()
    first = RedisCatalogue(redis_url, redis_prefix, last_known_good=kept_at)
    await first.start()
    await first.stop()

    cold = RedisCatalogue(NOWHERE, redis_prefix, last_known_good=kept_at)
    await cold.start()
    await cold.stop()
    assert cold.served_by("cart.add") == {Side.EVENTS: SAID.tasks[0]}
    assert cold.live_workers(Side.EVENTS, "cart.add") == 0


async def test_an_unreadable_file_is_said_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept_at = tmp_path / "catalogue.json"
    kept_at.write_text("{")
    catalogue = RedisCatalogue(NOWHERE, "x:", last_known_good=kept_at)
    await catalogue.start()
    await catalogue.stop()
    assert list(catalogue.names()) == []
    assert "catalogue_file_unreadable" in [record.message for record in caplog.records]


@pytest.mark.services
async def test_unreadable_entries_are_passed_over_and_swept(redis_url: str, redis_prefix: str) -> None:
    redis = Redis.from_url(redis_url)
    await asyncio.to_thread(redis.hset, workers_key(redis_prefix, Side.EVENTS), "old", "{")
    announcer = RedisAnnouncer(redis_url, redis_prefix)
    await asyncio.to_thread(announcer.announce, SAID)
    announcer.close()
    workers = await asyncio.to_thread(redis.hkeys, workers_key(redis_prefix, Side.EVENTS))
    redis.close()
    assert workers == [b"a:1"]


@pytest.mark.services
async def test_workers_last_heard_of_still_have_something_to_say_while_redis_is_away(tmp_path: Path) -> None:
    redis = PrivateRedis(tmp_path)
    redis.start()
    announcer = RedisAnnouncer(redis.url, "x:")
    await asyncio.to_thread(announcer.announce, msgspec.structs.replace(SAID, ttl_s=1.0))
    announcer.close()
    catalogue = RedisCatalogue(redis.url, "x:")
    await catalogue.start()
    try:
        redis.stop()

        async def known() -> tuple[bool, int]:
            return catalogue.current, catalogue.live_workers(Side.EVENTS, "cart.add")

        await becomes(known, (False, 0))
        assert catalogue.workers_of(Side.EVENTS, ["cart.add"]) == 1
    finally:
        await catalogue.stop()
