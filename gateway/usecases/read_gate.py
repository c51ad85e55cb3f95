"""What the gate sees of one task: where it stands, what is proven, and what comes next. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote, urlencode

from dualrun.contracts import Side
from gateway.core.errors import NotFound
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flag_change import FlagChange, changes_between
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.gate import Check, CheckName, GateAction, GateVerdict
from gateway.core.gate_check import StepState
from gateway.core.gate_rule import action_of, checks_of
from gateway.core.moment import as_utc
from gateway.core.ports import Catalogue, FlagStore, GateLedger
from gateway.core.stages import at_step, exposes_callers, gate_of, next_step, step_of, to_legacy
from gateway.core.step import Step
from gateway.core.step_evidence import StepEvidence
from gateway.usecases.step_start import FindStepStart, StepStart

__all__ = ["GateReading", "ReadGate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReading:
    """One look at one task."""

    task: str
    snapshot: FlagSnapshot
    flag: Flag
    """The flag in force, perhaps a glob's."""
    step: Step
    next_step: Step | None
    start: StepStart
    elapsed_s: float
    evidence: StepEvidence
    checks: tuple[Check, ...]
    action: GateAction
    reason: str
    workers: Mapping[Side, int | None]
    """Live workers by side; None where nobody can say."""
    read_at: datetime

    @property
    def soak_left_s(self) -> float:
        return max(0.0, gate_of(self.flag).soak_s - self.elapsed_s)

    def at(self, step: Step) -> Flag:
        """The task's own flag, on another step."""
        return replace(at_step(self.flag, step), task=self.task)

    def changes_to(self, flag: Flag) -> tuple[FlagChange, ...]:
        """What putting a flag in force would change."""
        return changes_between(self.snapshot.flags, self.snapshot.with_flag(flag))

    def changes_of_rollback(self) -> tuple[FlagChange, ...]:
        """What a rollback would change: nothing where legacy answers alone."""
        back = to_legacy(self.flag)
        return () if back == self.flag else self.changes_to(replace(back, task=self.task))

    @property
    def report(self) -> str:
        """Where the report of what this look rests on is read: of its flag version, or where the step has several, of its time."""
        since, until = self.start.version, self.snapshot.version
        path = f"/v1/reports/shadow/{quote(self.task)}"
        if since == until:
            return f"{path}?flag_version={until}"
        return f"{path}?{urlencode({'since': as_utc(self.start.at).isoformat(), 'until': as_utc(self.read_at).isoformat()})}"

    def as_evidence(self, report: str) -> FlagEvidence:
        """What a flag version made on this look rests on; `report` is the gate's verdict, or for people `self.report`."""
        mismatch = next((check for check in self.checks if check.name is CheckName.MISMATCH), None)
        return FlagEvidence(
            report=report,
            n=self.evidence.compared,
            mismatches=self.evidence.different,
            mismatch_at_most_percent=None if mismatch is None else mismatch.proven,
            checks=self.checks,
        )


class ReadGate:
    """Judges a task by what ran under the flag versions of its present step, and by nothing else."""

    def __init__(self, *, flags: FlagStore, catalogue: Catalogue, ledger: GateLedger, now: Callable[[], datetime]) -> None:
        self._flags = flags
        self._catalogue = catalogue
        self._ledger = ledger
        self._now = now
        self._starts = FindStepStart(flags)

    async def read(self, task: str) -> GateReading:
        """Raises `NotFound` where no flag names the task, `StoreUnavailable`."""
        return await self._read(task, evidence=None)

    async def read_without_evidence(self, task: str) -> GateReading:
        """The same while the ledger is away: nothing is known to have been counted. Raises `NotFound`, `StoreUnavailable`."""
        return await self._read(task, evidence=StepEvidence())

    async def last_verdict(self, task: str) -> GateVerdict | None:
        """What the gate said last, on its own account. Raises `StoreUnavailable`."""
        numbered = await self._ledger.latest_verdict(task)
        return None if numbered is None else numbered.verdict

    async def _read(self, task: str, evidence: StepEvidence | None) -> GateReading:
        snapshot, now = self._flags.snapshot, self._now()
        flag = snapshot.flag_for(task)
        if flag is None:
            raise NotFound(f"no flag names {task!r}: legacy answers, nothing is observed")
        start = await self._starts.of(task, snapshot)
        if evidence is None:
            evidence = await self._ledger.step_evidence(task, since_version=start.version, until_version=snapshot.version, since=start.at)
        step, ahead = step_of(flag), next_step(flag)
        if step.exposes_callers and evidence.outcomes and evidence.runs(Side.LEGACY, step.mode).n == 0:
            evidence = replace(evidence, before=await self._ledger.outcomes_before(task, version=start.version))
        elapsed_s = max(0.0, (as_utc(now) - as_utc(start.at)).total_seconds())
        workers = {side: self._catalogue.live_workers(side, task) if self._catalogue.current else None for side in Side}
        state = StepState(step=step, elapsed_s=elapsed_s, workers=workers[Side.EVENTS])
        checks = checks_of(gate_of(flag), state, evidence)
        action, reason = action_of(checks, exposed=exposes_callers(flag), last=ahead is None)
        return GateReading(
            task=task,
            snapshot=snapshot,
            flag=flag,
            step=step,
            next_step=ahead,
            start=start,
            elapsed_s=elapsed_s,
            evidence=evidence,
            checks=checks,
            action=action,
            reason=reason,
            workers=workers,
            read_at=now,
        )
