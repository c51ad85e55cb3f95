"""Doors of the standard library that no audit event watches: the guard is put into the functions themselves."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.guard import guarded, permitted, refuse_process
from dualrun.effects.guard_files import WRITES, judge_file, judge_name
from dualrun.errors import ShadowRefused

__all__ = ["watch_os", "watch_pidfd_signals", "watch_spawning"]


def watch_os(library: ModuleType) -> None:
    """`os.open` relative to a directory, which its event does not name; `mkfifo` and `mknod`, which have no event."""
    library.open = _opening(library.open)  # type: ignore[attr-defined]  # the module of that name
    for name in ("mkfifo", "mknod"):
        if hasattr(library, name):
            setattr(library, name, _making(getattr(library, name)))


def watch_spawning(library: ModuleType) -> None:
    """`_posixsubprocess.fork_exec`, by which multiprocessing starts its spawned processes, their server and their tracker."""
    fork_exec = library.fork_exec

    @wraps(fork_exec)
    def spawning(*args: Any) -> int:  # noqa: ANN401 - as in _posixsubprocess
        if guarded():
            refuse_process("multiprocessing")
        return int(fork_exec(*args))

    library.fork_exec = spawning  # type: ignore[attr-defined]  # the module of that name


def watch_pidfd_signals(library: ModuleType) -> None:
    """`signal.pidfd_send_signal`."""
    send = getattr(library, "pidfd_send_signal", None)
    if send is None:
        return

    @wraps(send)
    def sending(pidfd: int, signal: int, *args: Any) -> None:  # noqa: ANN401 - as in signal
        if signal and guarded():
            raise ShadowRefused("a shadow may not send signals (pidfd_send_signal): what they do cannot be undone")
        send(pidfd, signal, *args)

    library.pidfd_send_signal = sending  # type: ignore[attr-defined]  # the module of that name


def _opening(open_: Callable[..., int]) -> Callable[..., int]:
    @wraps(open_)
    def opening(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:  # noqa: ANN401 - as in os
        if dir_fd is None or not flags & WRITES or not guarded():
            return open_(path, flags, mode, dir_fd=dir_fd)
        judge_file(path, dir_fd)
        with permitted():
            return open_(path, flags, mode, dir_fd=dir_fd)

    os.supports_dir_fd.add(opening)
    return opening


def _making(make: Callable[..., None]) -> Callable[..., None]:
    @wraps(make)
    def making(path: Any, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - as in os
        if guarded():
            judge_name(path, dir_fd)
        make(path, *args, dir_fd=dir_fd, **kwargs)

    os.supports_dir_fd.add(making)
    return making
