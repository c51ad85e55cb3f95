"""The health check of a worker: alive while its announcement holds, on this host and this side."""

from __future__ import annotations

import socket
import subprocess
import sys

import msgspec
import pytest
import redis

from dualrun.alive import live_workers
from dualrun.announce_redis import RedisAnnouncer, WorkerEntry, workers_key
from dualrun.contracts import Announcement, Side

pytestmark = pytest.mark.services
HOST = socket.gethostname()


def announcement(worker: str, side: Side = Side.EVENTS) -> Announcement:
    return Announcement(worker=worker, side=side, service="shop", tasks=(), ttl_s=30)


def ask(redis_url: str, redis_prefix: str, *arguments: str) -> int:
    env = {"DUALRUN_REDIS_URL": redis_url, "DUALRUN_REDIS_PREFIX": redis_prefix}
    return subprocess.run([sys.executable, "-m", "dualrun.alive", *arguments], env=env, capture_output=True, timeout=30).returncode


def test_a_worker_is_alive_from_its_announcement_to_its_leaving(redis_url: str, redis_prefix: str) -> None:
    announcer = RedisAnnouncer(redis_url, redis_prefix)
    assert ask(redis_url, redis_prefix, "events") == 1
    announcer.announce(announcement(f"{HOST}:1"))
    assert ask(redis_url, redis_prefix, "events") == 0
    assert ask(redis_url, redis_prefix, "legacy") == 1
    announcer.withdraw(announcement(f"{HOST}:1"))
    assert ask(redis_url, redis_prefix, "events") == 1
    announcer.close()


def test_another_hosts_worker_and_one_that_fell_silent_do_not_count(redis_url: str, redis_prefix: str) -> None:
    announcer = RedisAnnouncer(redis_url, redis_prefix)
    announcer.announce(announcement("elsewhere:1"))
    announcer.close()
    silent = msgspec.json.encode(WorkerEntry(service="shop", tasks=(), expires_at=1.0))
    with redis.Redis.from_url(redis_url) as client:
        client.hset(workers_key(redis_prefix, Side.EVENTS), f"{HOST}:2", silent)
        assert live_workers(client, redis_prefix, Side.EVENTS, HOST) == []
        assert live_workers(client, redis_prefix, Side.EVENTS, "elsewhere") == ["elsewhere:1"]


def test_without_redis_nobody_is_alive(redis_prefix: str) -> None:
    assert ask("redis://127.0.0.1:1/0", redis_prefix, "events") == 1


def test_a_side_that_does_not_exist_is_a_mistake(redis_url: str, redis_prefix: str) -> None:
    assert ask(redis_url, redis_prefix, "sideways") == 2
