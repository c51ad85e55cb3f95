"""The gateway's error tree. What a side did wrong is data (`Outcome`), never one of these.

DualrunError
└── GatewayError
    ├── SubmissionRejected      the caller's mistake, seen before anything is published
    │   ├── UnknownTask         no side serves a task of that name
    │   ├── InvalidArguments    the handler's payload model refuses an argument
    │   ├── InvalidOptions      eta, countdown, expires or queue cannot be honoured
    │   └── IdempotencyConflict the key was used for another request, or its first request is still under way
    ├── FlagRejected            a flag that cannot be, or may not be set
    │   ├── UnsafeShadow        the task's safety class forbids running it as a shadow
    │   ├── FlagsFileRejected   a flags file that cannot be read; says where in it and why
    │   ├── FlagsByFile         only the flags file may change flags
    │   └── FlagConflict        somebody else changed the flags first
    ├── RulesRejected           a file of comparison rules that cannot be read; says where in it and why
    ├── DispatchFailed          the authority's message was not confirmed
    ├── StoreUnavailable        ledger, Redis or flag store out of reach
    └── NotFound                no such submission, flag or report
"""

from __future__ import annotations

from collections.abc import Sequence

from dualrun.contracts import Side
from dualrun.errors import DualrunError

__all__ = [
    "DispatchFailed",
    "FieldError",
    "FlagConflict",
    "FlagRejected",
    "FlagsByFile",
    "FlagsFileRejected",
    "GatewayError",
    "IdempotencyConflict",
    "InvalidArguments",
    "InvalidOptions",
    "NotFound",
    "RulesRejected",
    "StoreUnavailable",
    "SubmissionRejected",
    "UnknownTask",
    "UnsafeShadow",
]


class FieldError:
    """One thing wrong with one field: where (JSON pointer), and what would be right."""

    __slots__ = ("detail", "pointer")

    def __init__(self, pointer: str, detail: str) -> None:
        self.pointer = pointer
        self.detail = detail

    def __repr__(self) -> str:
        return f"{self.pointer}: {self.detail}"


class GatewayError(DualrunError):
    """Everything the gateway raises on purpose."""


class SubmissionRejected(GatewayError):
    """The caller's mistake. Nothing was published and nothing has changed."""


class UnknownTask(SubmissionRejected):
    """No side serves a task of that name."""

    def __init__(self, task: str, nearest: Sequence[str]) -> None:
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else "; no worker has announced any task like it"
        super().__init__(f"no worker serves a task named {task!r}{hint}")
        self.task = task
        self.nearest = tuple(nearest)


class InvalidArguments(SubmissionRejected):
    """The handler's payload model refuses an argument."""

    def __init__(self, task: str, errors: Sequence[FieldError]) -> None:
        super().__init__(f"arguments of {task!r} are not what its handler takes: " + "; ".join(map(repr, errors)))
        self.task = task
        self.errors = tuple(errors)


class InvalidOptions(SubmissionRejected):
    """`eta`, `countdown`, `expires` or `queue` cannot be honoured."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(map(repr, errors)))
        self.errors = tuple(errors)


class IdempotencyConflict(SubmissionRejected):
    """The key was used for another request (`in_progress` False), or its first request is still under way (True)."""

    def __init__(self, key: str, *, in_progress: bool) -> None:
        why = "its first request is still under way" if in_progress else "it was used for a different request"
        super().__init__(f"Idempotency-Key {key!r}: {why}")
        self.in_progress = in_progress


class FlagRejected(GatewayError):
    """A flag that cannot be, or may not be set."""

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class UnsafeShadow(FlagRejected):
    """The task's safety class forbids running it as a shadow."""


class FlagConflict(FlagRejected):
    """Somebody else changed the flags first; `current_version` is what is in force."""

    def __init__(self, expected_version: int, current_version: int) -> None:
        super().__init__(f"flags are at version {current_version}, not {expected_version}: read them again, then repeat the change")
        self.current_version = current_version


class FlagsByFile(FlagRejected):
    """Only the flags file may change flags here."""

    def __init__(self, file: str) -> None:
        super().__init__(f"flags are changed by the file {file} alone (DUALRUN_FLAGS_MODE=file): edit it there, a rollback too")
        self.file = file


class FlagsFileRejected(FlagRejected):
    """A flags file that cannot be read. Lines and columns count from 1; both are 0 where the file itself is out of reach."""

    def __init__(self, file: str, line: int, column: int, reason: str, pointer: str = "") -> None:
        super().__init__(f"{_place(file, line, column)}: {reason}", [FieldError(pointer, reason)])
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
        self.pointer = pointer


class RulesRejected(GatewayError):
    """A file of comparison rules that cannot be read. Lines and columns as in `FlagsFileRejected`."""

    def __init__(self, file: str, line: int, column: int, reason: str, pointer: str = "") -> None:
        super().__init__(f"{_place(file, line, column)}: {reason}")
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
        self.pointer = pointer


class DispatchFailed(GatewayError):
    """The message for one side was not confirmed."""

    def __init__(self, side: Side, reason: str, *, maybe_published: bool) -> None:
        super().__init__(f"{side} side: {reason}")
        self.side = side
        self.maybe_published = maybe_published


class StoreUnavailable(GatewayError):
    """A store (ledger, Redis) is out of reach."""


class NotFound(GatewayError):
    """No such submission, flag or report."""


def _place(file: str, line: int, column: int) -> str:
    return f"{file}:{line}:{column}" if line else file
