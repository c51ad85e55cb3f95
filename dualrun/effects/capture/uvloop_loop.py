"""uvloop: connects in C, where no audit event tells of it, so its methods ask the guard."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.guard import guarded, is_judged, judge_address
from dualrun.effects.guard_sends import judge_peer
from dualrun.errors import ShadowRefused

__all__ = ["patch"]

Judge = Callable[..., None]


def patch(library: ModuleType) -> None:
    """Put the guard before every way to connect, and to start a process."""
    for name, judge in _JUDGES.items():
        setattr(library.Loop, name, _judged(getattr(library.Loop, name), judge))


def _judged(method: Callable[..., object], judge: Judge) -> Callable[..., object]:
    @wraps(method)
    def judged(self: object, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as in asyncio
        if not is_judged():
            judge(*args, **kwargs)
        return method(self, *args, **kwargs)

    return judged


def _connection(_factory: object, host: object = None, port: object = None, **_: object) -> None:
    # Without a host it is given a socket, which has been judged.
    judge_address(None if host is None else (host, port))


def _unix(_factory: object, path: object = None, **_: object) -> None:
    judge_address(path)


def _datagram(_factory: object, _local: object = None, remote_addr: object = None, **_: object) -> None:
    if remote_addr is None and guarded():
        raise ShadowRefused("a shadow may not open a datagram endpoint without a remote address: where it sends to cannot be seen")
    judge_address(remote_addr)


def _socket(_socket: object, address: object) -> None:
    judge_address(address)


def _sent_to(_socket: object, _data: object, address: object) -> None:
    judge_address(address)


def _sent(connected: socket.socket, *_: object) -> None:
    judge_peer(connected)


def _process(*_: object, **__: object) -> None:
    if guarded():
        raise ShadowRefused("a shadow may not start another process: what that does cannot be seen or undone")


_JUDGES: dict[str, Judge] = {
    "create_connection": _connection,
    "create_datagram_endpoint": _datagram,
    "create_unix_connection": _unix,
    "sock_connect": _socket,
    "sock_sendall": _sent,
    "sock_sendfile": _sent,
    "sock_sendto": _sent_to,
    "subprocess_exec": _process,
    "subprocess_shell": _process,
}
