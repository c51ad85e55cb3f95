"""`python -m dualrun.alive SIDE`: for health checks. Exit 0 while a worker of this host says in Redis that it serves that side, else 1."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from dualrun.announce_redis import read_worker, workers_key
from dualrun.contracts import Side
from dualrun.settings import WorkerSettings

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["live_workers", "main"]

_TIMEOUT_S = 2.0


def live_workers(redis: Redis, prefix: str, side: Side, host: str) -> list[str]:
    """Names of the host's workers whose announcement has not run out, by Redis's own clock. Raises `redis.RedisError`."""
    seconds, microseconds = redis.time()
    now = seconds + microseconds / 1e6
    entries = cast("dict[bytes, bytes]", redis.hgetall(workers_key(prefix, side)))
    names = {name.decode(): read_worker(body) for name, body in entries.items()}
    return sorted(name for name, entry in names.items() if name.startswith(f"{host}:") and entry is not None and entry.expires_at > now)


def main(arguments: Sequence[str]) -> int:
    """0 or 1; 2 for a question that cannot be answered."""
    from redis import Redis, RedisError

    settings = WorkerSettings.from_env()
    if len(arguments) != 1 or arguments[0] not in set(Side) or settings.redis_url is None:
        sys.stderr.write("usage: DUALRUN_REDIS_URL=... python -m dualrun.alive legacy|events\n")
        return 2
    host = socket.gethostname()
    try:
        with Redis.from_url(settings.redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S) as redis:
            found = live_workers(redis, settings.redis_prefix, Side(arguments[0]), host)
    except RedisError as exc:
        sys.stderr.write(f"redis does not answer: {exc}\n")
        return 1
    sys.stdout.write(f"{', '.join(found) or 'none'} alive on {host}\n")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
