"""What a command's exit code says."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["EPILOG", "ExitCode"]


class ExitCode(IntEnum):
    """Stable, for scripts."""

    DONE = 0
    NO = 1
    """It ran, and the answer is no: blocked, different, a fault missed, a file not overwritten."""
    WRONG = 2
    """The request is wrong and will stay so: an argument, a task's name, a refused change."""
    AWAY = 3
    """The gateway, or what it needs, is away: the same command may work later."""
    NOT_ALLOWED = 4
    """No token, or one whose permissions do not reach that far."""


EPILOG = "Exit codes: 0 done; 1 the answer is no; 2 wrong request; 3 away or busy, try again; 4 not allowed."
