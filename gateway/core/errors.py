"""The gateway's error tree. What a side did wrong is data (`Outcome`), never one of these.

DualrunError
└── GatewayError
    ├── SubmissionRejected      the caller's mistake, seen before anything is published
    │   ├── UnknownTask         no side serves a task of that name
    │   ├── InvalidArguments    the handler's payload model refuses an argument
    │   ├── InvalidOptions      eta, countdown, expires or queue cannot be honoured
    │   ├── ArgumentsRedacted   arguments on record hold digests in place of secrets: they cannot be submitted again
    │   └── IdempotencyConflict the key was used for another request, or its first request is still under way
    ├── FlagRejected            a flag that cannot be, or may not be set
    │   ├── UnsafeShadow        the task's safety class forbids running it as a shadow
    │   ├── FlagsFileRejected   a flags file that cannot be read; says where in it and why
    │   ├── FlagsElsewhere      flags are not changed through this gateway
    │   │   ├── FlagsByFile         only the flags file may change them
    │   │   └── FlagsByOpenFeature  modes and percentages come from an OpenFeature provider
    │   ├── StepRefused         a move that is not one step forward, or a step back
    │   ├── FlagHeld            somebody holds the task where it is
    │   ├── NotServed           no handler, or no live worker, on the side a task is to go to
    │   ├── NotProven           the evidence does not allow the step
    │   └── FlagConflict        somebody else changed the flags first
    ├── RulesRejected           a file of comparison rules that cannot be read; says where in it and why
    ├── RulesElsewhere          rules are not written by this gateway
    ├── DispatchFailed          the authority's message was not confirmed
    ├── AccessDenied            who asks may not
    │   ├── Unauthenticated     nobody knows who asks
    │   ├── Forbidden           a permission is missing, or the task is out of reach
    │   └── TooManyRequests     faster, or more at once, than allowed
    ├── StoreUnavailable        ledger, Redis or flag store out of reach
    └── NotFound                no such submission, flag or report
"""

from __future__ import annotations

from collections.abc import Sequence

from dualrun.contracts import Side, State
from dualrun.errors import DualrunError

__all__ = [
    "AccessDenied",
    "ArgumentsRedacted",
    "DispatchFailed",
    "FieldError",
    "FlagConflict",
    "FlagHeld",
    "FlagRejected",
    "FlagsByFile",
    "FlagsByOpenFeature",
    "FlagsElsewhere",
    "FlagsFileRejected",
    "Forbidden",
    "GatewayError",
    "IdempotencyConflict",
    "InvalidArguments",
    "InvalidOptions",
    "NotFound",
    "NotProven",
    "NotServed",
    "RulesElsewhere",
    "RulesRejected",
    "StepRefused",
    "StoreUnavailable",
    "SubmissionRejected",
    "TooManyRequests",
    "Unauthenticated",
    "UnknownTask",
    "UnsafeShadow",
    "pointing_below",
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


class ArgumentsRedacted(SubmissionRejected):
    """What is on record of the arguments is not what was submitted."""

    def __init__(self, submission_id: str, places: Sequence[str]) -> None:
        super().__init__(
            f"submission {submission_id!r} cannot be submitted again as it is: on record a digest stands for the secret at "
            f"{', '.join(places)}; submit it anew with the secret filled in"
        )
        self.places = tuple(places)


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


def pointing_below(error: FlagRejected, at: str) -> FlagRejected:
    """The same error where what it points into stands at `at` in the body."""
    return type(error)(str(error), [FieldError(f"{at}{field.pointer}", field.detail) for field in error.errors])


class UnsafeShadow(FlagRejected):
    """The task's safety class forbids running it as a shadow."""


class FlagConflict(FlagRejected):
    """Somebody else changed the flags first; `current_version` is what is in force."""

    def __init__(self, expected_version: int, current_version: int) -> None:
        super().__init__(f"flags are at version {current_version}, not {expected_version}: read them again, then repeat the change")
        self.current_version = current_version


class StepRefused(FlagRejected):
    """A task moves one step forward at a time, and any step back."""


class FlagHeld(FlagRejected):
    """Somebody holds the task where it is."""


class NotServed(FlagRejected):
    """The side a task is to go to has no handler for it, or no live worker."""


class NotProven(FlagRejected):
    """The evidence does not allow the step; each of `errors` names a check."""


class FlagsElsewhere(FlagRejected):
    """Flags are not changed through this gateway; the text says where."""


class FlagsByFile(FlagsElsewhere):
    """Only the flags file may change flags here."""

    def __init__(self, file: str) -> None:
        super().__init__(f"flags are changed by the file {file} alone (DUALRUN_FLAGS_MODE=file): edit it there, a rollback too")
        self.file = file


class FlagsByOpenFeature(FlagsElsewhere):
    """Modes and percentages come from an OpenFeature provider here."""

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"modes and percentages come from the OpenFeature provider {provider} (DUALRUN_FLAGS_MODE=openfeature): change them there, "
            "a rollback too"
        )
        self.provider = provider


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


class RulesElsewhere(GatewayError):
    """This gateway has no folder of rules it may write to, or the rule cannot be put into its file."""


class DispatchFailed(GatewayError):
    """The message for one side was not confirmed."""

    def __init__(self, side: Side, reason: str, *, maybe_published: bool, is_final: bool = False) -> None:
        super().__init__(f"{side} side: {reason}")
        self.side = side
        self.maybe_published = maybe_published
        self.is_final = is_final
        """True where no message can be made of the work: another try would end the same."""


class AlreadyEnded(GatewayError):
    """There is nothing left to cancel."""

    def __init__(self, submission_id: str, state: State) -> None:
        super().__init__(f"the authority of {submission_id!r} has already ended: {state}")
        self.state = state


class CancelFailed(GatewayError):
    """A side could not be asked to cancel: nobody knows whether it will run. Asking again does no harm."""

    def __init__(self, side: Side, reason: str) -> None:
        super().__init__(f"{side} side: {reason}")
        self.side = side


class AccessDenied(GatewayError):
    """Who asks may not. Nothing was done."""


class Unauthenticated(AccessDenied):
    """No access token, or none that is in force."""


class Forbidden(AccessDenied):
    """A permission is missing, the task is out of reach, or the request comes from another site; `code` says which."""

    def __init__(self, message: str, code: str = "forbidden") -> None:
        super().__init__(message)
        self.code = code


class TooManyRequests(AccessDenied):
    """Faster, or more at once, than allowed; `retry_after_s` says when to come again."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreUnavailable(GatewayError):
    """A store (ledger, Redis) is out of reach."""


class NotFound(GatewayError):
    """No such submission, flag or report."""


def _place(file: str, line: int, column: int) -> str:
    return f"{file}:{line}:{column}" if line else file
