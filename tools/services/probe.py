"""Is it really that server behind the port? One exchange of its own protocol tells; an open port alone does not."""

from __future__ import annotations

import base64
import socket
import struct
import urllib.request
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Probe", "amqp_login", "management_login", "postgres_login", "redis_ping", "why_not"]

TIMEOUT_S = 5.0
_FRAME_END = b"\xce"
_CONNECTION_START = (10, 10)
_CONNECTION_TUNE = (10, 30)
_NO_PASSWORD_ASKED = 0

Probe: TypeAlias = "Callable[[str, int], None]"
"""Takes host and port; raises `OSError` or `ProbeFailed` when that server is not there or does not let us in."""


class ProbeFailed(Exception):
    """Something answers, but it is not what was looked for, or it does not let us in."""


def why_not(probe: Callable[[], None]) -> str | None:
    """None when the probe went through, else the reason in one line."""
    try:
        probe()
    except (OSError, ProbeFailed) as exc:
        return str(exc) or type(exc).__name__
    return None


def amqp_login(host: str, port: int, user: str = "guest", password: str = "guest") -> None:  # noqa: S107 - RabbitMQ's own, for loopback only
    """Go through AMQP 0.9.1's opening until the broker has accepted the login."""
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as link:
        link.sendall(b"AMQP\x00\x00\x09\x01")
        _expect_method(link, _CONNECTION_START)
        plain = f"\0{user}\0{password}".encode()
        start_ok = struct.pack(">HHI", 10, 11, 0) + b"\x05PLAIN" + struct.pack(">I", len(plain)) + plain + b"\x05en_US"
        link.sendall(struct.pack(">BHI", 1, 0, len(start_ok)) + start_ok + _FRAME_END)
        _expect_method(link, _CONNECTION_TUNE)


def _expect_method(link: socket.socket, wanted: tuple[int, int]) -> None:
    kind, _, size = struct.unpack(">BHI", _read(link, 7))
    if kind != 1:
        raise ProbeFailed("what answers does not speak AMQP 0.9.1")
    body = _read(link, size + len(_FRAME_END))
    if struct.unpack(">HH", body[:4]) != wanted:
        raise ProbeFailed("RabbitMQ refused the login")


def redis_ping(host: str, port: int) -> None:
    """PING must be answered by PONG: no password, not loading."""
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as link:
        link.sendall(b"PING\r\n")
        answer = _read(link, 7)
        if answer != b"+PONG\r\n":
            raise ProbeFailed(f"what answers is no Redis open to us ({answer.decode(errors='replace').strip()})")


def postgres_login(host: str, port: int, user: str = "postgres") -> None:
    """A start-up message must be answered by AuthenticationOk: the tests know no password."""
    parameters = f"user\0{user}\0database\0postgres\0\0".encode()
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as link:
        link.sendall(struct.pack(">II", len(parameters) + 8, 196608) + parameters)
        if _read(link, 1) != b"R":
            raise ProbeFailed(f"what answers is no PostgreSQL with a user {user}")
        _, method = struct.unpack(">II", _read(link, 8))
        if method != _NO_PASSWORD_ASKED:
            raise ProbeFailed(f"PostgreSQL asks for the password of {user}")


def management_login(url: str, user: str = "guest", password: str = "guest") -> None:  # noqa: S107 - RabbitMQ's own, for loopback only
    """RabbitMQ's management API must know the user."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(f"{url}/api/whoami", headers={"Authorization": f"Basic {token}"})  # noqa: S310 - http, on loopback
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
        pass


def _read(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = link.recv(size - len(data))
        if not more:
            raise ProbeFailed("the connection was closed in the middle of the greeting")
        data += more
    return data
