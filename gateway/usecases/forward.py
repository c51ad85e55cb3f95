"""What a task that carries a gate has to show before it goes forward: evidence, or a reason; and somebody there to run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from dualrun.contracts import Side
from gateway.core.errors import FieldError, FlagHeld, FlagRejected, NotProven, NotServed, StepRefused, StoreUnavailable
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag
from gateway.core.gate import CheckResult, GateAction
from gateway.core.ports import Catalogue
from gateway.core.stages import is_forward, next_step, reachable, rule_step, rules_further, step_of
from gateway.core.targeting import Rule
from gateway.usecases.read_gate import GateReading, ReadGate

__all__ = ["AdmitForward", "check_reason", "check_served", "held", "not_proven"]


class AdmitForward:
    """Whether a change of a flag may take its task further than the present flag does."""

    def __init__(self, *, gate: ReadGate, catalogue: Catalogue, new_id: Callable[[], str]) -> None:
        self._gate = gate
        self._catalogue = catalogue
        self._new_id = new_id

    async def __call__(self, present: Flag | None, wanted: Flag, *, force: bool, reason: str) -> FlagEvidence | None:
        """What a change that is admitted rests on, where it was evidence.

        Any step back is, and so is everything where the present flag carries no gate. The flag itself goes forward by promotion, or here
        with `force` and a reason, a step at a time; a rule that takes somebody further than the flag does goes by evidence, or likewise.
        Raises `StepRefused`, `FlagHeld`, `NotProven`, `NotServed`, `FlagRejected` (no reason), `StoreUnavailable`.
        """
        if present is None or present.gate is None:
            return None
        rules = rules_further(present, wanted)
        goes_on = is_forward(present, wanted)
        if not rules and not goes_on:
            return None
        if present.held:
            raise held(wanted.task, present)
        if force:
            check_reason(reason)
        seen = None
        if goes_on:
            _check_step(present, wanted, force=force)
        elif not force:
            seen = await self._proven(present, wanted, rules)
        check_served(self._catalogue, wanted.task, Side.EVENTS)
        return seen

    async def _proven(self, present: Flag, wanted: Flag, rules: Sequence[Rule]) -> FlagEvidence:
        far = [rule.name for rule in rules if not reachable(present, rule_step(rule))]
        if far:
            raise StepRefused(
                f"rule {far[0]!r} takes some of {wanted.task!r} further than its next step, {str(next_step(present))!r}: that asks for "
                "`force` and a reason",
                [FieldError("/rules", f"at most {next_step(present) or step_of(present)}, or /force")],
            )
        reading = await self._gate.read(wanted.task)
        if reading.action is not GateAction.PROMOTE:
            raise not_proven(reading, f"rule {rules[0].name!r} is a step forward")
        return reading.as_evidence(self._new_id())


def _check_step(present: Flag, wanted: Flag, *, force: bool) -> None:
    if not force:
        raise StepRefused(
            f"{wanted.task!r} carries a gate: it goes forward by promotion (`dualrun flags promote {wanted.task}`), which looks at the "
            "evidence; by force, where you say why",
            [FieldError("/mode", f"{step_of(present)} or back")],
        )
    if not reachable(present, step_of(wanted)):
        raise StepRefused(
            f"{wanted.task!r} is at {str(step_of(present))!r}: one step forward at a time, by force too",
            [FieldError("/mode", f"at most {next_step(present) or step_of(present)}")],
        )


def check_reason(reason: str) -> None:
    """Raises `FlagRejected` where nobody says why something goes on without evidence."""
    if not reason.strip():
        raise FlagRejected("/reason: going on without evidence needs a reason", [FieldError("/reason", "why, although it is not proven")])


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
