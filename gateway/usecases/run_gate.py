"""Do what the gate says: take a task back, or, where its flag allows that, on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from dualrun.contracts import Mode
from gateway.core.errors import FlagConflict, FlagsElsewhere, NotFound
from gateway.core.flags import Flag
from gateway.core.gate import GateAction, GateVerdict
from gateway.core.gate_rule import may_go_on_alone
from gateway.core.gate_settings import Gate, OnFailure
from gateway.core.ports import Catalogue, FlagStore
from gateway.core.stages import to_legacy
from gateway.usecases.read_gate import GateReading, ReadGate
from gateway.usecases.tell_verdict import TellVerdict

__all__ = ["GATE_AUTHOR", "RunGate", "tasks_of"]

log = logging.getLogger(__name__)

GATE_AUTHOR = "gate"
_ATTEMPTS = 3


class RunGate:
    """Looks at every task whose flag carries a gate. Any number of processes may look at once: a change is a compare-and-set."""

    def __init__(self, *, flags: FlagStore, gate: ReadGate, catalogue: Catalogue, tell: TellVerdict, new_id: Callable[[], str]) -> None:
        self._flags = flags
        self._gate = gate
        self._catalogue = catalogue
        self._tell = tell
        self._new_id = new_id
        self._verdicts: dict[str, GateVerdict] = {}

    @property
    def verdicts(self) -> Mapping[str, GateVerdict]:
        """What was said of each task at the last look."""
        return dict(self._verdicts)

    async def look(self) -> list[GateVerdict]:
        """Judge every gated task, change what is to be changed, and tell. Gives what this process changed. Raises `StoreUnavailable`."""
        verdicts: dict[str, GateVerdict] = {}
        changed: list[GateVerdict] = []
        for task in tasks_of(self._flags, self._catalogue):
            flag = self._flags.snapshot.flag_for(task)
            if flag is None or flag.gate is None:
                continue
            verdict = await self._judge(task)
            if verdict is None:
                continue
            verdicts[task] = verdict
            if verdict.changed_to is not None:
                changed.append(verdict)
            await self._tell.tell(verdict)
        self._verdicts = verdicts
        return changed

    async def _judge(self, task: str) -> GateVerdict | None:
        """None where the flags change faster than they can be judged: the next look will."""
        for _ in range(_ATTEMPTS):
            try:
                return await self._act_on(await self._gate.read(task))
            except FlagConflict:
                continue
            except NotFound:
                return None
        return None

    async def _act_on(self, reading: GateReading) -> GateVerdict:
        verdict = GateVerdict(
            id=self._new_id(),
            task=reading.task,
            action=reading.action,
            reason=reading.reason,
            step=str(reading.step),
            flag_version=reading.snapshot.version,
            checks=reading.checks,
            decided_at=reading.read_at,
        )
        if reading.action is GateAction.HOLD:
            return verdict
        why_not = _why_not(reading)
        if why_not is None:
            try:
                return replace(verdict, changed_to=await self._put(reading, verdict))
            except FlagsElsewhere:
                why_not = "flags are changed elsewhere"
        return replace(verdict, why_not=why_not)

    async def _put(self, reading: GateReading, verdict: GateVerdict) -> int:
        flag = _wanted(reading)
        done = await self._flags.replace(
            reading.snapshot.with_flag(flag),
            expected_version=reading.snapshot.version,
            author=GATE_AUTHOR,
            reason=verdict.reason,
            source="gate",
            evidence=reading.as_evidence(verdict.id),
        )
        log.warning(
            "gate_changed_flag",
            extra={"task_name": reading.task, "action": verdict.action.value, "version": done.version, "reason": verdict.reason},
        )
        return done.version


def tasks_of(flags: FlagStore, catalogue: Catalogue) -> list[str]:
    """Every task there is: announced, or named by a flag of its own."""
    named = (name for name, flag in flags.snapshot.flags.items() if not flag.is_glob)
    return sorted({*catalogue.names(), *named})


def _wanted(reading: GateReading) -> Flag:
    if reading.action is GateAction.ROLL_BACK:
        return replace(to_legacy(reading.flag), task=reading.task)
    assert reading.next_step is not None
    return reading.at(reading.next_step)


def _why_not(reading: GateReading) -> str | None:
    """Why the gate only says what it would do; None where it does it."""
    gate = reading.flag.gate or Gate()
    if gate.dry_run:
        return "dry run"
    if reading.action is GateAction.ROLL_BACK:
        return "on_failure: hold" if gate.on_failure is OnFailure.HOLD else None
    if reading.flag.held:
        return "held"
    if reading.step.mode is Mode.LEGACY:
        # Otherwise it would undo each rollback a moment later.
        return "people begin"
    if not gate.auto_promote:
        return "auto_promote: false"
    if reading.next_step is not None and reading.next_step.mode is Mode.EVENTS and reading.evidence.hidden:
        return "rules hide differences"
    return None if may_go_on_alone(gate, reading.evidence) else "more runs have to show it before the gate goes on alone"
