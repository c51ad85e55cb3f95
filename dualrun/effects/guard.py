"""Refuses what a shadow tries past the captures: connections and files nobody declared, and other processes.

Of an authority, connections past the captures are noted: its shadow would be refused them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from dualrun.effects.execution import current_execution
from dualrun.effects.guard_files import CHANGES, WRITES, declare_files, judge_file, judge_name
from dualrun.errors import ShadowRefused

__all__ = ["guard", "guarded", "is_declared", "is_judged", "judge_address", "permitted", "refuse_process"]

_SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_STARTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"})
_SIGNALS = frozenset({"os.kill", "os.killpg"})

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
    """Refuse with `ShadowRefused` whatever a shadow connects to, changes or starts, the `allowed` addresses and paths excepted.

    Outside of shadows nothing changes. An audit hook cannot be taken out again: a second call changes only the addresses.
    """
    global _allowed, _guarding  # noqa: PLW0603 - as global as the hook
    _allowed = allowed
    declare_files(allowed)
    if not _guarding:
        _guarding = True
        sys.addaudithook(_judge)


def _judge(event: str, arguments: tuple[object, ...]) -> None:
    if event in _SENDS:
        if not is_judged():
            judge_address(arguments[1])
    elif event == "open":
        # A descriptor was judged as it was opened.
        if isinstance(arguments[2], int) and arguments[2] & WRITES and not isinstance(arguments[0], int) and guarded():
            judge_file(arguments[0])
    elif event in CHANGES:
        if guarded():
            _judge_change(event, arguments)
    elif event in _STARTS:
        if guarded():
            refuse_process(event)
    else:
        _judge_rarer(event, arguments)


def _judge_change(event: str, arguments: tuple[object, ...]) -> None:
    for path, directory, followed in CHANGES[event]:
        (judge_file if followed else judge_name)(arguments[path], None if directory is None else arguments[directory])


def _judge_rarer(event: str, arguments: tuple[object, ...]) -> None:
    if event in _SIGNALS:
        # Signal 0 asks whether a process is there.
        if arguments[1] and guarded():
            raise ShadowRefused(f"a shadow may not send signals ({event}): what they do cannot be undone")
    elif event == "sqlite3.connect/handle" and not hasattr(type(arguments[0]), "dualrun_run") and guarded():
        raise ShadowRefused("a shadow may not open an SQLite database past the capture: call sqlite3.connect, as sqlite3 has it now")


def refuse_process(how: str) -> None:
    """Raise `ShadowRefused` for a process that would be started, or given work."""
    raise ShadowRefused(f"a shadow may not start another process ({how}): what that does cannot be seen or undone")


def guarded() -> bool:
    """True inside a shadow, where no capture has judged what is going on."""
    run = current_execution()
    return run is not None and run.shadow and not _permitted.get()


def is_judged() -> bool:
    """True where connections are nobody's to judge: outside of executions, and where a capture has judged what is going on."""
    return current_execution() is None or _permitted.get()


def judge_address(address: object) -> None:
    """Of an address that is not declared: raise `ShadowRefused` in a shadow, note it in an authority."""
    run = current_execution()
    host, port = _parts(address)
    named = f"{host}:{port}" if port else host
    if run is None or not host or is_declared(host, named):
        return
    if run.shadow:
        raise ShadowRefused(
            f"a shadow may not connect or send to {named}: no capture judged what is done there. "
            f"If it is safe, declare it: DUALRUN_SHADOW_ALLOW={named}"
        )
    run.connected(named)


def is_declared(*names: str) -> bool:
    """Whether one of the names of an address, `host` or `host:port` in lower case, is declared safe for shadows."""
    return not _allowed.isdisjoint(names)


def _parts(address: object) -> tuple[str, str]:
    """Host and port, or the path of a Unix socket. No address (a connected socket sends) was judged as it connected."""
    if isinstance(address, tuple) and len(address) > 1:
        return str(address[0]).lower(), str(address[1])
    return os.fsdecode(address) if isinstance(address, bytes | str) else "", ""
