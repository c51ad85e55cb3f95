"""The gate's rule: which checks a step asks for, and from their results to an action. Pure.

A sound task is taken back with at most 5 % probability over its whole way, however often somebody looks: the risk is divided among the
steps in which that would cost a rollback, and the checks that could ask for one.
"""

from __future__ import annotations

from collections.abc import Sequence

from dualrun.contracts import Mode
from gateway.core.gate import Check, CheckName, CheckResult, GateAction
from gateway.core.gate_check import (
    SOUND_PART,
    StepState,
    dead_letters_check,
    errors_check,
    latency_check,
    mismatch_check,
    missing_check,
    soak_check,
    split_check,
    workers_check,
)
from gateway.core.gate_settings import Gate
from gateway.core.sequential import shows_soundness
from gateway.core.step_evidence import StepEvidence

__all__ = ["FALSE_ALARM", "FALSE_PROMOTION", "action_of", "checks_of", "may_go_on_alone"]

FALSE_ALARM = 0.05
"""How often a sound task is taken back, over all the steps of its way and all its checks together."""
FALSE_PROMOTION = 0.02
"""How often a task that differs as much as its limit is taken on by the gate alone, in one step."""
_TAKES_BACK = (CheckName.MISMATCH, CheckName.ERRORS, CheckName.LATENCY, CheckName.DEAD_LETTERS)
_SEQUENTIAL_CHECKS = 3


def checks_of(gate: Gate, state: StepState, evidence: StepEvidence) -> tuple[Check, ...]:
    """Every check that has a meaning in the step."""
    mode, risk = state.step.mode, FALSE_ALARM / (_SEQUENTIAL_CHECKS * max(1, gate.exposing_steps))
    if mode is Mode.LEGACY:
        return (workers_check(state),)
    checks = [
        mismatch_check(gate, evidence, risk),
        errors_check(gate, evidence, mode, risk),
        latency_check(gate, evidence, mode, risk),
        missing_check(gate, evidence, risk),
        soak_check(gate, state),
        workers_check(state),
    ]
    if mode is Mode.CANARY:
        checks.insert(4, split_check(state, evidence))
    if gate.dead_letters is not None:
        checks.insert(4, dead_letters_check(gate.dead_letters, evidence))
    return tuple(checks)


def action_of(checks: Sequence[Check], *, exposed: bool, last: bool) -> tuple[GateAction, str]:
    """What the checks ask for, and why in one sentence.

    A task is taken back only where the events side answers somebody (`exposed`), and only for what it did: what is missing, late or
    badly dealt stops it where it is. `last` says that there is no further step.
    """
    failing = [check for check in checks if check.result is CheckResult.FAIL]
    harmful = [check for check in failing if check.name in _TAKES_BACK]
    if harmful and exposed:
        return GateAction.ROLL_BACK, _said(harmful)
    if failing:
        return GateAction.HOLD, _said(failing)
    open_ = [check for check in checks if check.result is not CheckResult.PASS]
    if open_:
        return GateAction.HOLD, _said(open_)
    if last:
        return GateAction.HOLD, "there is no further step"
    return GateAction.PROMOTE, "every check passes"


def may_go_on_alone(gate: Gate, evidence: StepEvidence) -> bool:
    """Whether the gate may act on a promotion the checks ask for.

    Their exact bounds hold for one look, which is how a person uses them. The gate looks all the time: it has to have proven by a
    sequential test too that mismatches are as rare as in a sound task.
    """
    limit = gate.mismatch_percent / 100
    return shows_soundness(evidence.different, evidence.compared, sound=SOUND_PART * limit, faulty=limit, risk=FALSE_PROMOTION)


def _said(checks: Sequence[Check]) -> str:
    return "; ".join(f"{check.name.value}: {check.text}" for check in checks)
