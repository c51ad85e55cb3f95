"""Which step a flag stands on, which comes next, and which moves are allowed: one step forward at a time, any step back. Pure."""

from __future__ import annotations

from dataclasses import replace

from dualrun.contracts import Mode, Safety
from gateway.core.flags import Flag
from gateway.core.gate_settings import Gate, OnWorkerLoss
from gateway.core.step import Step
from gateway.core.targeting import Rule

__all__ = [
    "at_step",
    "exposes_callers",
    "gate_of",
    "is_forward",
    "next_step",
    "reachable",
    "rule_step",
    "rules_further",
    "same_routing",
    "step_of",
    "to_legacy",
]

_OBSERVING = frozenset({Mode.SHADOW, Mode.MIRROR})


def gate_of(flag: Flag) -> Gate:
    """The flag's own gate, or the usual one; a task that may not be observed has no steps that observe."""
    if flag.gate is not None:
        return flag.gate
    usual = Gate()
    if flag.safety is not Safety.UNSAFE:
        return usual
    return replace(usual, steps=tuple(step for step in usual.steps if step.mode not in _OBSERVING))


def step_of(flag: Flag) -> Step:
    """The step a flag stands on, whether or not its gate names it."""
    return _step(flag)


def rule_step(rule: Rule) -> Step:
    """The step a rule puts those on whom it names."""
    return _step(rule)


def rules_further(before: Flag, after: Flag) -> tuple[Rule, ...]:
    """The rules of a changed flag that take those whom they name further than the flag did before, and that it did not have."""
    here, had = step_of(before).rank, {str(rule) for rule in before.rules}
    return tuple(rule for rule in after.rules if rule_step(rule).rank > here and str(rule) not in had)


def next_step(flag: Flag) -> Step | None:
    """The first step of the gate that lies further on the way than the flag; None at the end."""
    here = step_of(flag).rank
    return next((step for step in gate_of(flag).steps if step.rank > here), None)


def reachable(flag: Flag, wanted: Step) -> bool:
    """Whether one move may take the flag there: back to anywhere, forward no further than the next step."""
    ahead = next_step(flag)
    return wanted.rank <= (step_of(flag) if ahead is None else ahead).rank


def at_step(flag: Flag, step: Step) -> Flag:
    """The flag on a step. What is not moved yet stays observed as the gate's last observing step before it says."""
    observed = next((at.share for at in reversed(gate_of(flag).steps) if at.mode is Mode.SHADOW and at.rank < step.rank), None)
    if observed is None:
        observed = flag.shadow_share
    match step.mode:
        case Mode.CANARY:
            return replace(flag, mode=step.mode, events_share=step.share, shadow_share=observed)
        case Mode.SHADOW | Mode.MIRROR:
            return replace(flag, mode=step.mode, events_share=0, shadow_share=step.share)
        case Mode.EVENTS:
            return replace(flag, mode=step.mode, events_share=0, shadow_share=0)
        case _:
            return replace(flag, mode=Mode.LEGACY, events_share=0, shadow_share=0, rules=())


def to_legacy(flag: Flag) -> Flag:
    """The flag with legacy alone, for everybody: nothing moved, nothing observed, no rule.

    Its cohorts stay dealt as they are, its safety class declared. The rules are in the version before.
    """
    if flag.mode is Mode.LEGACY and not flag.rules:
        return flag
    return replace(flag, mode=Mode.LEGACY, events_share=0, shadow_share=0, control_share=0, rules=())


def exposes_callers(flag: Flag) -> bool:
    """Whether the events side answers anybody, by the flag itself or by one of its rules."""
    return any(step.exposes_callers for step in (step_of(flag), *map(rule_step, flag.rules)))


def is_forward(before: Flag | None, after: Flag) -> bool:
    """Whether a change takes the flag further on its way."""
    return step_of(after).rank > (Step(Mode.LEGACY) if before is None else step_of(before)).rank


def same_routing(one: Flag | None, other: Flag | None) -> bool:
    """Whether two flags deal every submission alike: then what was seen under one counts for the other."""
    if one is None or other is None:
        return one is other
    return _routing(one) == _routing(other)


def _step(stage: Flag | Rule) -> Step:
    match stage.mode:
        case Mode.CANARY:
            return Step(stage.mode, stage.events_share)
        case Mode.SHADOW | Mode.MIRROR:
            return Step(stage.mode, stage.shadow_share)
        case _:
            return Step(stage.mode)


def _routing(flag: Flag) -> Flag:
    return replace(flag, task="", gate=None, held=False, on_worker_loss=OnWorkerLoss.ALERT)
