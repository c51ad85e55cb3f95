"""The real services behind the tests: where they are, and a corner of each for one test alone.

Addresses come from `DUALRUN_TEST_AMQP_URL`, `DUALRUN_TEST_REDIS_URL` and `DUALRUN_TEST_POSTGRES_URL`, else the standard local
ports. A service out of reach is a failure: a test that was skipped proves nothing.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shlex
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import SplitResult, urlsplit

import asyncpg
import pytest
import redis

__all__ = ["fresh_database", "fresh_vhost", "owned_prefix", "reachable_redis_url", "unique_name"]

DEFAULT_AMQP_URL = "amqp://guest:guest@127.0.0.1:5672/"
DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
DEFAULT_POSTGRES_URL = "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres"

CONNECT_TIMEOUT_S = 5.0
CTL_TIMEOUT_S = 60.0


def unique_name(prefix: str = "dualrun_test") -> str:
    """A name no other test has: letters, digits and underscores."""
    return f"{prefix}_{uuid.uuid4().hex[:12]}"


def _unreachable(service: str, variable: str, address: str, reason: object) -> str:
    return (
        f"{service} is out of reach at {address}: {reason}. `make test` finds or starts it; "
        f"or install and start {service} on its standard port; or set {variable}."
    )


def _address(url: SplitResult, default_port: int) -> tuple[str, int]:
    return url.hostname or "127.0.0.1", url.port or default_port


def _require_port(service: str, variable: str, url: SplitResult, default_port: int) -> None:
    host, port = _address(url, default_port)
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as exc:
        pytest.fail(_unreachable(service, variable, f"{host}:{port}", exc), pytrace=False)


# --- RabbitMQ ---


@contextmanager
def fresh_vhost(env: Mapping[str, str] = os.environ) -> Iterator[str]:
    """An AMQP URL of a virtual host made for the caller and deleted afterwards.

    Made by `rabbitmqctl` (`DUALRUN_TEST_RABBITMQCTL`, or the one on the path for a node at the standard local port), else over
    `DUALRUN_TEST_AMQP_MANAGEMENT_URL`; where there is neither, the given virtual host itself.
    """
    url = urlsplit(env.get("DUALRUN_TEST_AMQP_URL", DEFAULT_AMQP_URL))
    _require_port("RabbitMQ", "DUALRUN_TEST_AMQP_URL", url, 5672)
    user = urllib.parse.unquote(url.username or "guest")
    name = unique_name()
    control = _control(url, env)
    if control is None:
        yield url.geturl()
        return
    make, delete = control
    try:
        make(name, user)
    except _ControlError as exc:
        pytest.fail(f"RabbitMQ answers at {url.hostname}, but no virtual host could be made: {exc}", pytrace=False)
    try:
        yield url._replace(path=f"/{name}").geturl()
    finally:
        delete(name)


class _ControlError(Exception):
    """A virtual host could not be made or deleted."""


_Control = tuple[Callable[[str, str], None], Callable[[str], None]]


def _control(url: SplitResult, env: Mapping[str, str]) -> _Control | None:
    ctl = _rabbitmqctl(url, env)
    if ctl is not None:
        return (lambda vhost, user: _ctl_make(ctl, vhost, user)), (lambda vhost: _run_ctl(ctl, "delete_vhost", vhost))
    management = env.get("DUALRUN_TEST_AMQP_MANAGEMENT_URL")
    if management:
        return (lambda vhost, user: _http_make(management, vhost, user)), (lambda vhost: _http(management, "DELETE", f"vhosts/{vhost}"))
    return None


def _rabbitmqctl(url: SplitResult, env: Mapping[str, str]) -> list[str] | None:
    command = env.get("DUALRUN_TEST_RABBITMQCTL")
    if command:
        return shlex.split(command)
    # A rabbitmqctl found by chance speaks to this machine's node: only right if the URL means that node.
    if _address(url, 5672) not in {("127.0.0.1", 5672), ("localhost", 5672)}:
        return None
    found = shutil.which("rabbitmqctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return [found] if found else None


def _run_ctl(ctl: list[str], *arguments: str) -> None:
    try:
        done = subprocess.run([*ctl, "-q", *arguments], capture_output=True, text=True, timeout=CTL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise _ControlError(str(exc)) from exc
    if done.returncode != 0:
        raise _ControlError(f"{shlex.join([*ctl, *arguments])}: {(done.stderr or done.stdout).strip()[-400:]}")


def _ctl_make(ctl: list[str], vhost: str, user: str) -> None:
    _run_ctl(ctl, "add_vhost", vhost)
    _run_ctl(ctl, "set_permissions", "-p", vhost, user, ".*", ".*", ".*")


def _http_make(management: str, vhost: str, user: str) -> None:
    _http(management, "PUT", f"vhosts/{vhost}")
    _http(management, "PUT", f"permissions/{vhost}/{urllib.parse.quote(user, safe='')}", b'{"configure":".*","write":".*","read":".*"}')


def _http(management: str, method: str, path: str, body: bytes = b"{}") -> None:
    url = urlsplit(management)
    token = base64.b64encode(
        f"{urllib.parse.unquote(url.username or 'guest')}:{urllib.parse.unquote(url.password or 'guest')}".encode()
    ).decode()
    host, port = _address(url, 15672)
    request = urllib.request.Request(
        f"{url.scheme}://{host}:{port}{url.path.rstrip('/')}/api/{path}",
        data=body,
        method=method,
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT_S):
            pass
    except urllib.error.URLError as exc:
        raise _ControlError(f"{method} {path} at {host}:{port}: {exc}") from exc


# --- Redis ---


def reachable_redis_url(env: Mapping[str, str] = os.environ) -> str:
    """The Redis the tests share; each works under a prefix of its own."""
    url = env.get("DUALRUN_TEST_REDIS_URL", DEFAULT_REDIS_URL)
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=CONNECT_TIMEOUT_S) as client:
            client.ping()
    except redis.RedisError as exc:
        pytest.fail(_unreachable("Redis", "DUALRUN_TEST_REDIS_URL", urlsplit(url).netloc.rpartition("@")[2], exc), pytrace=False)
    return url


@contextmanager
def owned_prefix(redis_url: str) -> Iterator[str]:
    """A key prefix, ending in a colon; every key under it is deleted afterwards."""
    prefix = f"{unique_name()}:"
    try:
        yield prefix
    finally:
        with redis.Redis.from_url(redis_url) as client:
            for key in client.scan_iter(match=f"{prefix}*", count=1000):
                client.delete(key)


# --- PostgreSQL ---


@contextmanager
def fresh_database(env: Mapping[str, str] = os.environ) -> Iterator[str]:
    """An SQLAlchemy URL (asyncpg) of a database made for the caller and dropped afterwards, open connections and all."""
    url = urlsplit(env.get("DUALRUN_TEST_POSTGRES_URL", DEFAULT_POSTGRES_URL))
    name = unique_name()
    try:
        _execute_sql(url, f'CREATE DATABASE "{name}"')
    except (OSError, asyncpg.PostgresError, TimeoutError) as exc:
        host, port = _address(url, 5432)
        pytest.fail(_unreachable("PostgreSQL", "DUALRUN_TEST_POSTGRES_URL", f"{host}:{port}", exc), pytrace=False)
    try:
        yield url._replace(scheme="postgresql+asyncpg", path=f"/{name}").geturl()
    finally:
        _execute_sql(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute_sql(url: SplitResult, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url._replace(scheme="postgresql").geturl(), timeout=CONNECT_TIMEOUT_S)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    _run_apart(execute)


def _run_apart(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run in a thread with a loop of its own: a fixture must not disturb the loop of the test that asks for it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as exc:  # noqa: BLE001 - carried over to the calling thread
            failures.append(exc)

    thread = threading.Thread(target=run, name="fixture-sql")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
