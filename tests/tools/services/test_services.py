"""`python -m tools.services`: what it says, what it exports, what it leaves behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tools.services import probe
from tools.services.found import Found, NotFound, Service
from tools.services.private import start_installed
from tools.services.running import from_environment

REDIS = Service("Redis", "DUALRUN_TEST_REDIS_URL", 6379, "redis-server")


@contextmanager
def a_server_that_says(greeting: bytes) -> Iterator[int]:
    """A TCP server that answers whatever comes with `greeting`, once, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(1024)
                link.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("probed", [probe.amqp_login, probe.redis_ping, probe.postgres_login])
def test_an_open_port_of_another_protocol_is_not_taken_for_the_server(probed: probe.Probe) -> None:
    with a_server_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert probe.why_not(lambda: probed("127.0.0.1", port)) is not None


def test_a_postgres_that_asks_for_a_password_is_not_taken() -> None:
    with a_server_that_says(b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00") as port:
        assert probe.why_not(lambda: probe.postgres_login("127.0.0.1", port)) == "PostgreSQL asks for the password of postgres"


def test_an_address_that_was_given_but_does_not_answer_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALRUN_TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    with pytest.raises(SystemExit, match=r"DUALRUN_TEST_REDIS_URL is set, but nothing answers at 127.0.0.1:1"):
        from_environment(REDIS)


def test_without_any_server_it_fails_and_says_what_to_install() -> None:
    done = _run("--skip", "environment,running,installed,container,debian", "--", "true")
    assert done.returncode == 69
    assert "apt-get install rabbitmq-server redis-server postgresql" in done.stdout
    assert "DUALRUN_TEST_AMQP_URL, DUALRUN_TEST_REDIS_URL, DUALRUN_TEST_POSTGRES_URL" in done.stdout


def test_a_way_that_does_not_exist_is_refused() -> None:
    assert "--skip knows environment, running" in _run("--skip", "nowhere", "--", "true").stderr


@pytest.mark.services
def test_the_status_of_the_command_is_the_status(amqp_url: str, redis_url: str, postgres_url: str) -> None:
    given = {"DUALRUN_TEST_AMQP_URL": amqp_url, "DUALRUN_TEST_REDIS_URL": redis_url, "DUALRUN_TEST_POSTGRES_URL": postgres_url}
    assert _run("--", "sh", "-c", "exit 7", env=given).returncode == 7


@pytest.mark.services
def test_an_installed_server_is_started_apart_and_leaves_nothing() -> None:
    found = start_installed(REDIS)
    assert isinstance(found, Found)
    url = found.env["DUALRUN_TEST_REDIS_URL"]
    with redis.Redis.from_url(url) as client:
        assert client.ping()
        folder = str(client.config_get("dir")["dir"])
    found.stop()
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    assert not Path(folder).exists()


def test_a_server_that_is_not_installed_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert start_installed(REDIS) == NotFound("redis-server is not installed")


def _run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.services", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
