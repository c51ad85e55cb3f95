"""Servers that run already: named by environment variables, or on their standard local ports."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from urllib.parse import urlsplit

from tools.services import probe
from tools.services.found import Found, NotFound, Service

__all__ = ["from_environment", "on_standard_port"]

HOST = "127.0.0.1"
MANAGEMENT_URL = f"http://{HOST}:15672"


def from_environment(service: Service) -> Found | NotFound:
    """The server a variable names.

    Raises SystemExit when nothing answers there: a wrong address must not be replaced in silence.
    """
    url = os.environ.get(service.url_variable)
    if not url:
        return NotFound(f"{service.url_variable} is not set")
    parts = urlsplit(url)
    address = (parts.hostname or HOST, parts.port or service.default_port)
    try:
        socket.create_connection(address, timeout=probe.TIMEOUT_S).close()
    except OSError as exc:
        raise SystemExit(
            f"{service.name}: {service.url_variable} is set, but nothing answers at {address[0]}:{address[1]} ({exc})"
        ) from exc
    return Found({}, f"the one {service.url_variable} names, at {address[0]}:{address[1]}")


def on_standard_port(service: Service) -> Found | NotFound:
    """A server on its standard port of this machine that lets the tests in without a password they do not know."""
    return {"RabbitMQ": _rabbitmq, "Redis": _redis, "PostgreSQL": _postgres}[service.name]()


def _rabbitmq() -> Found | NotFound:
    reason = probe.why_not(lambda: probe.amqp_login(HOST, 5672))
    if reason:
        return NotFound(f"port 5672: {reason}")
    env = {"DUALRUN_TEST_AMQP_URL": f"amqp://guest:guest@{HOST}:5672/"}
    ctl = shutil.which("rabbitmqctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if ctl and _succeeds([ctl, "-q", "list_vhosts"]):
        return Found({**env, "DUALRUN_TEST_RABBITMQCTL": ctl}, "running at port 5672 (virtual hosts by rabbitmqctl)")
    if probe.why_not(lambda: probe.management_login(MANAGEMENT_URL)) is None:
        return Found(
            {**env, "DUALRUN_TEST_AMQP_MANAGEMENT_URL": MANAGEMENT_URL}, "running at port 5672 (virtual hosts by the management API)"
        )
    return NotFound("one runs at port 5672, but neither rabbitmqctl nor the management API lets us make virtual hosts on it")


def _redis() -> Found | NotFound:
    reason = probe.why_not(lambda: probe.redis_ping(HOST, 6379))
    if reason:
        return NotFound(f"port 6379: {reason}")
    return Found({"DUALRUN_TEST_REDIS_URL": f"redis://{HOST}:6379/0"}, "running at port 6379")


def _postgres() -> Found | NotFound:
    reason = probe.why_not(lambda: probe.postgres_login(HOST, 5432))
    if reason:
        return NotFound(f"port 5432: {reason}")
    return Found({"DUALRUN_TEST_POSTGRES_URL": f"postgresql+asyncpg://postgres@{HOST}:5432/postgres"}, "running at port 5432")


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
