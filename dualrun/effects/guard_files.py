"""Which files a shadow may change: its scratch directory, what Python keeps for itself, and what is declared."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping

from dualrun.errors import ShadowRefused

__all__ = ["CHANGES", "WRITES", "declare_files", "judge_file", "judge_name"]

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
"""Flags of `os.open` that may change something."""

# Event -> where in its arguments stand the path that is changed, and the descriptor of the directory it is relative to; and whether what
# a link points to is changed, or the name itself.
CHANGES: Mapping[str, tuple[tuple[int, int | None, bool], ...]] = {
    "os.chmod": ((0, 2, True),),
    "os.chown": ((0, 3, True),),
    # A second name for a file is a way to write it.
    "os.link": ((0, 2, True), (1, 3, False)),
    "os.mkdir": ((0, 2, False),),
    "os.remove": ((0, 1, False),),
    "os.removexattr": ((0, None, True),),
    "os.rename": ((0, 2, False), (1, 3, False)),
    "os.rmdir": ((0, 1, False),),
    "os.setxattr": ((0, None, True),),
    "os.symlink": ((1, 2, False),),
    "os.truncate": ((0, None, True),),
    "os.utime": ((0, 3, True),),
}

_SCRATCH = os.path.realpath(tempfile.gettempdir())
# Bytecode under the name it gets, and under the one it is written by first.
_BYTECODE = re.compile(r".*/__pycache__(/[^/]+\.pyc(\.\d+)?)?\Z", re.DOTALL)
_DEVICES = frozenset({"/dev/full", "/dev/null", "/dev/ptmx", "/dev/stderr", "/dev/stdout", "/dev/tty", "/dev/zero"})
_declared: tuple[str, ...] = ()


def declare_files(allowed: frozenset[str]) -> None:
    """Let shadows change the paths among `allowed`, and everything below them."""
    global _declared  # noqa: PLW0603 - as global as the hook that asks
    _declared = tuple(os.path.realpath(place) for place in allowed if place.startswith("/"))


def judge_file(path: object, directory: object = None) -> None:
    """Raise `ShadowRefused` unless a shadow may change the file, wherever links of that name lead to."""
    named = _named(path, directory)
    if named is not None:
        _judge(os.path.realpath(named))


def judge_name(path: object, directory: object = None) -> None:
    """Raise `ShadowRefused` unless a shadow may make, remove or move that name: a link of that name, not what it points to."""
    named = _named(path, directory)
    if named is not None:
        parent, name = os.path.split(os.path.abspath(named))  # noqa: PTH100 - Path has no such thing
        _judge(os.path.join(os.path.realpath(parent), name))  # noqa: PTH118 - as above


def _named(path: object, directory: object) -> str | None:
    if isinstance(path, int):
        return f"/proc/self/fd/{path}"
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    name = os.fsdecode(path)
    return f"/proc/self/fd/{directory}/{name}" if isinstance(directory, int) and directory >= 0 and not name.startswith("/") else name


def _judge(name: str) -> None:
    if not (_within(name, _SCRATCH) or _is_pythons(name) or any(_within(name, place) for place in _declared)):
        raise ShadowRefused(
            f"a shadow may not change {name}: no capture keeps it apart. Declare its directory in DUALRUN_FILE_PLACES to have its files "
            "captured, or, if it is safe, in DUALRUN_SHADOW_ALLOW"
        )


def _within(name: str, place: str) -> bool:
    return name == place or name.startswith(place.rstrip("/") + "/")


def _is_pythons(name: str) -> bool:
    """Bytecode, this process's own terminal and descriptors."""
    return name in _DEVICES or name.startswith(("/dev/pts/", "/memfd:", f"/proc/{os.getpid()}/")) or _BYTECODE.match(name) is not None
