"""Sending over a connection that is there already, which an authority or an import opened: no audit event tells of that."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.guard import guarded, is_judged, judge_address, permitted

__all__ = [
    "judge_peer",
    "watch_logging",
    "watch_sendfile",
    "watch_sockets",
    "watch_streams",
    "watch_tls",
    "watch_transports",
    "watch_transports_tls",
]


def watch_sockets(library: ModuleType) -> None:
    """`socket.socket`, by which asyncio's loops send as well. `sendto` has an event of its own, which names the address."""
    _before(library.socket, ("send", "sendall", "sendmsg"), judge_peer)


def watch_sendfile(library: ModuleType) -> None:
    """`os.sendfile`, by which sockets and asyncio send files. Where there is none nobody uses it."""
    if hasattr(library, "sendfile"):
        library.sendfile = _judged(library.sendfile, _judge_descriptor)  # type: ignore[attr-defined]  # the module of that name


def watch_tls(library: ModuleType) -> None:
    """`ssl.SSLSocket`, which sends what it has encrypted past the methods of a socket."""
    _before(library.SSLSocket, ("send", "sendall", "write"), judge_peer)


def watch_transports(library: ModuleType) -> None:
    """Those of asyncio's own loop: a refusal further down would be taken for a broken connection, and end it for everybody."""
    _before(library._SelectorSocketTransport, ("write", "writelines"), _judge_transport)  # noqa: SLF001 - has no other name
    _before(library._SelectorDatagramTransport, ("sendto",), _judge_transport)  # noqa: SLF001


def watch_transports_tls(library: ModuleType) -> None:
    """What a task writes is judged; what TLS says by itself, a goodbye above all, is not."""
    _before(library._SSLProtocolTransport, ("write", "writelines"), _judge_transport)  # noqa: SLF001 - has no other name
    process = library.SSLProtocol._process_outgoing  # noqa: SLF001

    @wraps(process)
    def processing(self: object) -> None:
        if is_judged():
            process(self)
            return
        with permitted():
            process(self)

    library.SSLProtocol._process_outgoing = processing  # noqa: SLF001


def watch_streams(library: ModuleType) -> None:
    """`StreamWriter` on any loop: the transports of uvloop are of C, and nothing can be put before them."""
    _before(library.StreamWriter, ("write", "writelines"), lambda writer: _judge_transport(writer.transport))


def watch_logging(library: ModuleType) -> None:
    """What a handler sends to a collector is no effect."""
    handle = library.Handler.handle

    @wraps(handle)
    def handling(self: object, record: object) -> object:
        if not guarded():
            return handle(self, record)
        with permitted():
            return handle(self, record)

    library.Handler.handle = handling


def judge_peer(connected: socket.socket) -> None:
    """Judge whom the socket is connected to: one without a peer, or a pair of this process's own, has no address."""
    try:
        peer = connected.getpeername()
    except OSError:
        return
    judge_address(peer)


def _judge_descriptor(descriptor: int) -> None:
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        with socket.socket(fileno=os.dup(descriptor)) as connected:
            judge_peer(connected)


def _judge_transport(transport: Any) -> None:  # noqa: ANN401 - of any loop
    judge_address(transport.get_extra_info("peername"))


def _before(sender: Any, names: tuple[str, ...], judge: Callable[[Any], None]) -> None:  # noqa: ANN401 - a class
    """Put `judge` before those methods of the class, where it has them."""
    for name in names:
        if hasattr(sender, name):
            setattr(sender, name, _judged(getattr(sender, name), judge))


def _judged(send: Callable[..., Any], judge: Callable[[Any], None]) -> Callable[..., Any]:
    @wraps(send)
    def judged(self: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as it is there
        if not is_judged():
            judge(self)
        return send(self, *args, **options)

    return judged
