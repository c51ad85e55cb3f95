"""What a flag asks of its gate: the steps, and what has to be proven before the next one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import isfinite

from dualrun.contracts import Mode
from gateway.core.errors import FieldError, FlagRejected
from gateway.core.step import DEFAULT_STEPS, Step

__all__ = ["Gate", "OnFailure", "OnNothing", "OnWorkerLoss"]

_MOST_STEPS = 20
_LONGEST_SOAK_S = 366 * 86_400.0


class OnFailure(StrEnum):
    """What the gate does once a failure is proven in a step in which the events side answers."""

    ROLLBACK = "rollback"
    HOLD = "hold"


class OnNothing(StrEnum):
    """What the gate does without data, or while it cannot tell: nothing else would be true to what is known."""

    HOLD = "hold"


class OnWorkerLoss(StrEnum):
    """What happens once the side that answers has lost its last worker."""

    ALERT = "alert"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When a task may go on, and when it has to go back. Numbers in percent are of 100."""

    steps: tuple[Step, ...] = DEFAULT_STEPS
    soak_s: float = 3_600.0
    """The least time in each step."""
    min_samples: int = 300
    """The least observations behind every check that passes."""
    mismatch_percent: float = 1.0
    """Comparisons that differ: proven below this to go on; taken for a fault at this. A tenth of it counts as sound."""
    error_points: float = 1.0
    """Failures on the events side, in percentage points above those of legacy."""
    latency_ratio: float = 2.0
    """Run time on the events side over that of legacy: the geometric mean of the pairs."""
    missing_percent: float = 1.0
    """Pairs without their second outcome by the deadline. It stops a task, and never takes it back."""
    dead_letters: int | None = None
    """The most dead letters on the events side in one step; None does not look at them."""
    on_failure: OnFailure = OnFailure.ROLLBACK
    auto_promote: bool = False
    """Whether the gate may take the next step by itself. Otherwise it only ever reduces exposure."""
    dry_run: bool = False
    """The gate says what it would do, and does nothing."""

    def check(self) -> None:
        """Raises `FlagRejected` naming every member that is wrong, below `/gate`."""
        errors = [*_wrong_steps(self.steps), *_wrong_numbers(self)]
        if errors:
            raise FlagRejected("; ".join(map(repr, errors)), errors)

    @property
    def exposing_steps(self) -> int:
        """Steps in which the events side answers: in each of them a false alarm would cost a rollback."""
        return sum(step.exposes_callers for step in self.steps)


def _wrong_steps(steps: tuple[Step, ...]) -> Iterator[FieldError]:
    if not 1 <= len(steps) <= _MOST_STEPS:
        yield FieldError("/gate/steps", f"1 to {_MOST_STEPS} steps")
    for position, (before, step) in enumerate(pairwise((Step(Mode.LEGACY), *steps))):
        if step.rank <= before.rank:
            yield FieldError(f"/gate/steps/{position}", f"has to lie further on the way than {str(before)!r}, is {str(step)!r}")


def _wrong_numbers(gate: Gate) -> Iterator[FieldError]:
    for name in ("mismatch_percent", "missing_percent"):
        if not 0 < getattr(gate, name) <= 100:
            yield FieldError(f"/gate/{name}", "is a percentage above 0, at most 100")
    if not 0 <= gate.error_points <= 100:
        yield FieldError("/gate/error_points", "percentage points: 0 to 100")
    if not (gate.latency_ratio > 0 and isfinite(gate.latency_ratio)):
        yield FieldError("/gate/latency_ratio", "is a ratio above 0, such as 1.5")
    if not 0 <= gate.soak_s <= _LONGEST_SOAK_S:
        yield FieldError("/gate/soak_s", f"seconds: 0 to {_LONGEST_SOAK_S:.0f}")
    if not 1 <= gate.min_samples <= 10**9:
        yield FieldError("/gate/min_samples", "at least 1")
    if gate.dead_letters is not None and not 0 <= gate.dead_letters <= 10**9:
        yield FieldError("/gate/dead_letters", "at least 0; leave it out to not look at dead letters")
