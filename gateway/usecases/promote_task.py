"""Take a task to its next step, on evidence; or hold it where it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dualrun.contracts import Side
from gateway.core.errors import FieldError, StepRefused, StoreUnavailable
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flag_change import FlagChange, changes_between
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.gate import GateAction
from gateway.core.ports import Catalogue, FlagStore
from gateway.core.stages import reachable
from gateway.core.step import Step
from gateway.usecases.forward import check_nothing_hidden, check_reason, check_served, held, not_proven
from gateway.usecases.read_gate import GateReading, ReadGate

__all__ = ["PromoteTask", "Promoted"]


@dataclass(frozen=True, slots=True)
class Promoted:
    """The flags in force afterwards, the step the task is on, and what was changed."""

    snapshot: FlagSnapshot
    step: Step
    changes: tuple[FlagChange, ...]
    is_forward: bool = False


class PromoteTask:
    """One step forward at a time; any step back."""

    def __init__(self, *, flags: FlagStore, gate: ReadGate, catalogue: Catalogue) -> None:
        self._flags = flags
        self._gate = gate
        self._catalogue = catalogue

    async def promote(
        self, task: str, *, to: Step | None, force: bool, author: str, reason: str, source: str, evidence: FlagEvidence | None = None
    ) -> Promoted:
        """Take a task to `to`, or to the next step. With `force` it takes a reason instead of evidence.

        Raises `NotFound`, `StepRefused` (too far, or there already), `FlagHeld`, `NotServed`, `NotProven`, `FlagRejected`,
        `FlagConflict`, `StoreUnavailable`.
        """
        if force:
            check_reason(reason)
        reading = await self._read(task, without_ledger=force)
        step = self._allowed(reading, to)
        if step.rank > reading.step.rank:
            if not force and reading.action is not GateAction.PROMOTE:
                raise not_proven(reading)
            if not force:
                check_nothing_hidden(reading, step)
            check_served(self._catalogue, task, Side.EVENTS)
        flag = reading.at(step)
        flag.check()
        seen = evidence or reading.as_evidence(reading.report)
        done = await self._put(reading, flag, author=author, reason=reason, source=source, evidence=seen)
        return Promoted(done, step, changes_between(reading.snapshot.flags, done.flags), step.rank > reading.step.rank)

    async def hold(self, task: str, *, held: bool, author: str, reason: str, source: str) -> Promoted:
        """Keep a task where it is, or let it go on. Repeating it changes nothing. Raises `NotFound`, `FlagConflict`, `StoreUnavailable`."""
        reading = await self._read(task, without_ledger=True)
        if reading.flag.held is held:
            return Promoted(reading.snapshot, reading.step, ())
        flag = replace(reading.flag, task=task, held=held)
        done = await self._put(reading, flag, author=author, reason=reason, source=source, evidence=None)
        return Promoted(done, reading.step, changes_between(reading.snapshot.flags, done.flags))

    async def _read(self, task: str, *, without_ledger: bool) -> GateReading:
        try:
            return await self._gate.read(task)
        except StoreUnavailable:
            if not without_ledger:
                raise
            return await self._gate.read_without_evidence(task)

    def _allowed(self, reading: GateReading, to: Step | None) -> Step:
        step = to or reading.next_step
        if step is None:
            raise StepRefused(f"{reading.task!r} is at {str(reading.step)!r}, its last step", [])
        if step == reading.step:
            raise StepRefused(f"{reading.task!r} is at {str(step)!r} already", [FieldError("/to", "another step")])
        if step.rank < reading.step.rank:
            return step
        if reading.flag.held:
            raise held(reading.task, reading.flag)
        if not reachable(reading.flag, step):
            ahead = f"the next one is {str(reading.next_step)!r}" if reading.next_step is not None else "there is no further one"
            raise StepRefused(
                f"{reading.task!r} is at {str(reading.step)!r}: one step forward at a time, and {ahead}",
                [FieldError("/to", f"at most {reading.next_step or reading.step}")],
            )
        return step

    async def _put(
        self, reading: GateReading, flag: Flag, *, author: str, reason: str, source: str, evidence: FlagEvidence | None
    ) -> FlagSnapshot:
        return await self._flags.replace(
            reading.snapshot.with_flag(flag),
            expected_version=reading.snapshot.version,
            author=author,
            reason=reason,
            source=source,
            evidence=evidence,
        )
