"""A Redis of one's own, to kill and to flush."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis

from tests.support.processes import free_port

__all__ = ["OwnRedis"]

START_TIMEOUT_S = 20.0


class OwnRedis:
    """A redis-server on a free port that writes everything to disk before it answers; as a context manager.

    With `cluster` it is a cluster of one node, which is to be given its slots.
    """

    def __init__(self, folder: Path, *, cluster: bool = False) -> None:
        self._folder = folder
        self._more = ["--cluster-enabled", "yes"] if cluster else []
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, or start it again on the data it left, and wait until it answers."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            pytest.fail("no redis-server to start: install it")
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", "", "--appendonly", "yes"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *options, *self._more, "--appendfsync", "always"], stdout=log, stderr=log)
        give_up_at_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert time.monotonic() < give_up_at_s, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def flush(self) -> None:
        """Forget everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
