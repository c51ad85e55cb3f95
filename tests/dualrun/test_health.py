"""What a process without an event loop answers when it is asked."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from dualrun.health import answering
from tests.support.processes import free_port


class Well:
    def __init__(self) -> None:
        self.trouble: str | None = None

    def fault(self) -> str | None:
        return None

    def not_ready(self) -> str | None:
        return self.trouble

    def metrics(self) -> bytes:
        return b"dualrun_thing 1\n"


@pytest.fixture
def well() -> Well:
    return Well()


@pytest.fixture
def url(well: Well) -> Iterator[str]:
    port = free_port()
    stop = answering(well, "127.0.0.1", port)
    yield f"http://127.0.0.1:{port}"
    stop()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_it_answers_for_the_process_from_a_thread(url: str, well: Well) -> None:
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        assert answer.read() == b"dualrun_thing 1\n"
    with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
        assert answer.read() == b"ok\n"
    well.trouble = "it is starting"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/readyz", timeout=5)
    with refused.value as answer:
        assert (answer.code, answer.read()) == (503, b"it is starting\n")


def test_who_hangs_up_early_stops_nobody_else(url: str) -> None:
    port = int(url.rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
        assert answer.status == 200
