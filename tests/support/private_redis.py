"""A Redis of one's own, to stop and start."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import redis

from tests.support.processes import free_port

__all__ = ["PrivateRedis"]


class PrivateRedis:
    """A `redis-server` on a free port that keeps nothing on disk."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, cwd=self._directory, stdout=subprocess.DEVNULL)
        client = redis.Redis(port=self.port)
        give_up_at = time.monotonic() + 10
        while True:
            with suppress(redis.RedisError):
                client.ping()
                break
            assert time.monotonic() < give_up_at, "redis-server did not come up"
        client.close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
