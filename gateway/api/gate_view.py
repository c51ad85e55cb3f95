"""What the gate sees of a task, as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from dualrun.contracts import Mode, Side
from gateway.api.gate_members import GateMembers, members_of
from gateway.core.flag_change import FlagChange
from gateway.core.gate import Check, GateAction, GateVerdict
from gateway.core.share import percent_of
from gateway.core.stages import gate_of
from gateway.core.step import Step
from gateway.usecases.read_gate import GateReading

__all__ = ["GateView", "StepView", "gate_view_of"]


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step on the way."""

    name: str
    """As in the gate's `steps`: `canary 1 %`."""
    mode: Mode
    percent: float
    """Of cohort keys: observed (shadow, mirror) or moved (canary); 0 for legacy and events."""

    @classmethod
    def of(cls, step: Step) -> StepView:
        """A step of the core."""
        return cls(name=str(step), mode=step.mode, percent=percent_of(step.share))


class GateView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a task stands on its way, and what the gate makes of it."""

    task: str
    flag: str
    """The flag in force: the task's own, or the glob that matches it."""
    version: int
    gated: bool
    """Whether the flag carries a gate. Without one, the usual gate judges and nobody acts on it."""
    gate: GateMembers
    held: bool
    present: StepView
    next: StepView | None
    """None at the end of the way."""
    since_version: int
    """The first flag version of the present step: only what ran from here on counts."""
    since: datetime
    elapsed_s: float
    soak_left_s: float
    action: GateAction
    """What the evidence asks for: promote, hold or roll_back."""
    reason: str
    checks: tuple[Check, ...]
    compared: int
    different: int
    unpaired: int
    """Pairs without their second outcome by the deadline."""
    workers: Mapping[Side, int | None]
    """Live workers that serve the task; null while nobody can say."""
    if_promoted: tuple[FlagChange, ...]
    if_rolled_back: tuple[FlagChange, ...]
    last_verdict: GateVerdict | None
    """What the gate said last on its own account; null for a task it has never judged."""


def gate_view_of(reading: GateReading, last_verdict: GateVerdict | None) -> GateView:
    """A reading as the API shows it."""
    flag, ahead = reading.flag, reading.next_step
    return GateView(
        task=reading.task,
        flag=flag.task,
        version=reading.snapshot.version,
        gated=flag.gate is not None,
        gate=members_of(gate_of(flag)),
        held=flag.held,
        present=StepView.of(reading.step),
        next=None if ahead is None else StepView.of(ahead),
        since_version=reading.start.version,
        since=reading.start.at,
        elapsed_s=reading.elapsed_s,
        soak_left_s=reading.soak_left_s,
        action=reading.action,
        reason=reading.reason,
        checks=reading.checks,
        compared=reading.evidence.compared,
        different=reading.evidence.different,
        unpaired=reading.evidence.unpaired,
        workers=reading.workers,
        if_promoted=() if ahead is None else reading.changes_to(reading.at(ahead)),
        if_rolled_back=reading.changes_of_rollback(),
        last_verdict=last_verdict,
    )
