"""Refuses what a shadow tries past the captures: connections nobody declared, and other processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from dualrun.effects.execution import current_execution
from dualrun.errors import ShadowRefused

__all__ = ["guard", "guarded", "judge_address", "permitted"]

_SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_STARTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"})

_permitted: ContextVar[bool] = ContextVar("dualrun_permitted", default=False)
_allowed: frozenset[str] = frozenset()
_guarding = False


@contextmanager
def permitted() -> Iterator[None]:
    """What is connected to inside was judged by a capture: a read, or work of the runtime's own."""
    token = _permitted.set(True)
    try:
        yield
    finally:
        _permitted.reset(token)


def guard(allowed: frozenset[str]) -> None:
    """Refuse with `ShadowRefused` whatever a shadow connects to or starts, the `allowed` addresses excepted.

    Outside of shadows nothing changes. An audit hook cannot be taken out again: a second call changes only the addresses.
    """
    global _allowed, _guarding  # noqa: PLW0603 - as global as the hook
    _allowed = allowed
    if not _guarding:
        _guarding = True
        sys.addaudithook(_judge)


def _judge(event: str, arguments: tuple[object, ...]) -> None:
    if event in _SENDS:
        if guarded():
            judge_address(arguments[1])
    elif event in _STARTS and guarded():
        raise ShadowRefused(f"a shadow may not start another process ({event}): what that does cannot be seen or undone")


def guarded() -> bool:
    """True inside a shadow, where no capture has judged what is going on."""
    run = current_execution()
    return run is not None and run.shadow and not _permitted.get()


def judge_address(address: object) -> None:
    """Raise `ShadowRefused` for an address that is not declared."""
    host, port = _parts(address)
    named = f"{host}:{port}" if port else host
    if host and not {named, host} & _allowed:
        raise ShadowRefused(
            f"a shadow may not connect to {named}: no capture judged what is done there. "
            f"If it is safe, declare it: DUALRUN_SHADOW_ALLOW={named}"
        )


def _parts(address: object) -> tuple[str, str]:
    """Host and port, or the path of a Unix socket. No address (a connected socket sends) was judged as it connected."""
    if isinstance(address, tuple) and len(address) > 1:
        return str(address[0]).lower(), str(address[1])
    text = os.fsdecode(address) if isinstance(address, bytes | str) else ""
    return text.lower(), ""
