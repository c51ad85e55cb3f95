"""What the gate says: an action, and the checks it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Check", "CheckName", "CheckResult", "GateAction", "GateVerdict", "Unit"]


class GateAction(StrEnum):
    """What the evidence says is to be done."""

    PROMOTE = "promote"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


class CheckName(StrEnum):
    """What is looked at."""

    MISMATCH = "mismatch"
    """Comparisons that differ."""
    ERRORS = "errors"
    """Failures on the events side beyond those of legacy."""
    LATENCY = "latency"
    """Run time on the events side over legacy's, submission by submission."""
    MISSING = "missing"
    """Pairs without their second outcome by the deadline."""
    DEAD_LETTERS = "dead_letters"
    SPLIT = "split"
    """Whether as many cohort keys went to the events side as the flag says."""
    SOAK = "soak"
    WORKERS = "workers"
    """Whether the side that answers has a live worker."""


class CheckResult(StrEnum):
    """Absence of data is no failure, and no success."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"


class Unit(StrEnum):
    """What the numbers of a check count."""

    PERCENT = "percent"
    POINTS = "percentage points"
    RATIO = "ratio"
    COUNT = "count"
    SECONDS = "seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: what was seen, what that proves, and what is asked for."""

    name: CheckName
    result: CheckResult
    unit: Unit
    observed: float | None = None
    """None without data."""
    proven: float | None = None
    """What the observations leave possible, one-sided at 95 %: the number that has to get below `limit`."""
    limit: float
    n: int = 0
    """Observations it rests on."""
    needed: int | None = None
    """Observations that would do if all that are still to come are clean; None where more of them would not help, or nobody can say."""
    text: str
    """For people: `312 of 598 clean runs to prove < 0.5 %`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """The gate's word on one task. Told once for every change of mind, whatever number of comparators look."""

    id: str
    """What a flag version that rests on it names as its evidence."""
    task: str
    action: GateAction
    reason: str
    """One sentence for people."""
    step: str
    """The step it was judged in, as the flag's gate writes it: `canary 1 %`."""
    flag_version: int
    """The flags it was judged under."""
    changed_to: int | None = None
    """The version it put in force; None where it only says what it would do: see `why_not`."""
    why_not: str | None = None
    """Why nothing was changed though `action` asks for it: dry run, `auto_promote: false`, `on_failure: hold`, flags by file."""
    checks: tuple[Check, ...] = ()
    decided_at: datetime
