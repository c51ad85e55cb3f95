"""What a task needs before it goes forward: somebody there to run it; and, where its flag carries a gate, evidence or a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from dualrun.contracts import Mode, Side
from gateway.core.errors import FieldError, FlagHeld, FlagRejected, NotProven, NotServed, StepRefused, StoreUnavailable, pointing_below
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.forward_move import ForwardMove, forward_moves
from gateway.core.gate import CheckResult, GateAction
from gateway.core.ports import Catalogue
from gateway.core.stages import next_step, reachable, rule_step, step_of
from gateway.core.step import Step
from gateway.usecases.read_gate import GateReading, ReadGate

__all__ = ["AdmitForward", "check_nothing_hidden", "check_reason", "check_served", "held", "not_proven"]


class AdmitForward:
    """Whether a change of flags may take the tasks it decides about further than they are."""

    def __init__(self, *, gate: ReadGate, catalogue: Catalogue) -> None:
        self._gate = gate
        self._catalogue = catalogue

    def goes_forward(self, before: FlagSnapshot, after: Mapping[str, Flag]) -> bool:
        """Whether the change takes anybody further on; what does not is asked for nothing."""
        return any(True for _ in forward_moves(before, after, self._catalogue.names()))

    async def __call__(
        self, before: FlagSnapshot, after: Mapping[str, Flag], *, force: bool, reason: str, at: str | None = None
    ) -> FlagEvidence | None:
        """What a change that is admitted rests on, where it was evidence.

        Asked is each task for itself, whatever decides it, before and after: one that loses its own flag to a glob is too. Any step back
        is free. A step forward needs a handler and a live worker on the events side, and nobody who holds the task. Where the present
        flag carries a gate, the flag goes forward by promotion, or here with `force` and a reason, a step at a time; a rule that takes
        somebody further than the flag does goes by evidence, or likewise.
        Raises `StepRefused`, `FlagHeld`, `NotProven`, `NotServed`, `FlagRejected` (no reason), `StoreUnavailable`. Where all flags are
        set at once, `at` is where in the body they stand: errors then point to the flag that decides.
        """
        seen = []
        for move in forward_moves(before, after, self._catalogue.names()):
            try:
                evidence = await self._admit(move, force=force, reason=reason)
            except FlagRejected as exc:
                raise (exc if at is None else pointing_below(exc, f"{at}/{move.after.task}")) from exc
            if evidence is not None:
                seen.append(evidence)
        return together(seen)

    async def _admit(self, move: ForwardMove, *, force: bool, reason: str) -> FlagEvidence | None:
        present, seen = move.before, None
        if present.held:
            raise held(move.name, present)
        if present.gate is not None:
            if force:
                check_reason(reason)
            if move.goes_on:
                _check_step(move, force=force)
            elif not force and not move.stands_for_tasks:
                seen = await self._proven(move)
        if not move.stands_for_tasks:
            check_served(self._catalogue, move.name, Side.EVENTS)
        return seen

    async def _proven(self, move: ForwardMove) -> FlagEvidence:
        present, rules = move.before, move.rules
        far = [rule.name for rule in rules if not reachable(present, rule_step(rule))]
        if far:
            raise StepRefused(
                f"rule {far[0]!r} takes some of {move.name!r} further than its next step, {str(next_step(present))!r}: that asks for "
                "`force` and a reason",
                [FieldError("/rules", f"at most {next_step(present) or step_of(present)}, or /force")],
            )
        reading = await self._gate.read(move.name)
        if reading.action is not GateAction.PROMOTE:
            raise not_proven(reading, f"rule {rules[0].name!r} is a step forward")
        return reading.as_evidence(reading.report)


def _check_step(move: ForwardMove, *, force: bool) -> None:
    present, wanted = move.before, move.after
    if not force:
        raise StepRefused(
            f"{move.name!r} carries a gate: it goes forward by promotion (`dualrun flags promote {move.name}`), which looks at the "
            "evidence; by force, where you say why",
            [FieldError("/mode", f"{step_of(present)} or back")],
        )
    if not reachable(present, step_of(wanted)):
        raise StepRefused(
            f"{move.name!r} is at {str(step_of(present))!r}: one step forward at a time, by force too",
            [FieldError("/mode", f"at most {next_step(present) or step_of(present)}")],
        )


def together(seen: Sequence[FlagEvidence]) -> FlagEvidence | None:
    """What a change of several tasks rests on; None where it rests on nothing."""
    if len(seen) <= 1:
        return seen[0] if seen else None
    return FlagEvidence(
        report=" ".join(one.report for one in seen),
        n=sum(one.n or 0 for one in seen),
        mismatches=sum(one.mismatches or 0 for one in seen),
        checks=tuple(check for one in seen for check in one.checks),
    )


def check_reason(reason: str) -> None:
    """Raises `FlagRejected` where nobody says why something goes on without evidence."""
    if not reason.strip():
        raise FlagRejected("/reason: going on without evidence needs a reason", [FieldError("/reason", "why, although it is not proven")])


def check_nothing_hidden(reading: GateReading, step: Step) -> None:
    """Raises `NotProven` where a task is to be left to events alone while rules still hide what events does differently.

    Afterwards nobody compares any more, so what a rule allowed for the time being stays. Source: dual-run.md 4.4, after Scientist.
    """
    hidden = reading.evidence.hidden
    if step.mode is Mode.EVENTS and hidden:
        raise NotProven(
            f"rules hide differences of {reading.task!r} in {hidden:,} pairs at {str(reading.step)!r} "
            f"(`dualrun rules list {reading.task}`): mend the handler and take the rules out, or go on by force and say why they may stay",
            [FieldError("/rules", f"hide differences in {hidden:,} pairs")],
        )


def check_served(catalogue: Catalogue, task: str, side: Side) -> None:
    """Raises `NotServed` where a side has no handler, or no live worker, for the task or one the glob names; `StoreUnavailable`."""
    if not catalogue.current:
        raise StoreUnavailable("nobody can say whether a worker of the events side is alive: Redis is out of reach")
    names = [name for name in catalogue.names() if fnmatchcase(name, task)] if Flag(task=task).is_glob else [task]
    for name in names or [task]:
        if side not in catalogue.served_by(name):
            raise NotServed(
                f"no worker of the {side.value} side has ever announced {name!r}: write a handler for it (`@handler({name!r})`) and "
                "start `python -m event_handlers` with the module that holds it in DUALRUN_HANDLERS"
            )
        if not catalogue.live_workers(side, name):
            raise NotServed(f"no worker of the {side.value} side that serves {name!r} is alive: start `python -m event_handlers`")


def held(task: str, flag: Flag) -> FlagHeld:
    """Somebody keeps the task where it is."""
    return FlagHeld(f"{task!r} is held at {str(step_of(flag))!r}: release it first (`dualrun flags hold {task} --release`)")


def not_proven(reading: GateReading, what: str = "") -> NotProven:
    """Which checks are open; `what` asked."""
    open_: Sequence[FieldError] = [
        FieldError(f"/checks/{check.name.value}", check.text) for check in reading.checks if check.result is not CheckResult.PASS
    ]
    asked = f"{what}, and " if what else ""
    return NotProven(
        f"{asked}{reading.task!r} has not proven itself at {str(reading.step)!r}: {reading.reason}. Wait, or do it by force and say why",
        open_,
    )
