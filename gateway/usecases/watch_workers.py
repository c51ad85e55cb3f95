"""Notice that a side which answers has lost its last worker, and say so; take the task back where its flag asks for that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from dualrun.contracts import Mode, Side
from gateway.core.errors import FlagConflict, FlagsElsewhere
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.gate import Check, CheckName, CheckResult, GateAction, GateVerdict, Unit
from gateway.core.gate_settings import OnWorkerLoss
from gateway.core.ports import Catalogue, FlagStore
from gateway.core.routing import answering_sides
from gateway.core.stages import step_of, to_legacy
from gateway.usecases.run_gate import GATE_AUTHOR, tasks_of
from gateway.usecases.tell_verdict import TellVerdict

__all__ = ["WatchWorkers"]

log = logging.getLogger(__name__)

_Place = tuple[str, Side]


class WatchWorkers:
    """Looks at flagged tasks. A side counts as lost once it had no live worker for `grace_s`, as far as Redis can be asked."""

    def __init__(
        self,
        *,
        flags: FlagStore,
        catalogue: Catalogue,
        tell: TellVerdict,
        new_id: Callable[[], str],
        now: Callable[[], datetime],
        grace_s: float,
    ) -> None:
        self._flags = flags
        self._catalogue = catalogue
        self._tell = tell
        self._new_id = new_id
        self._now = now
        self._grace_s = grace_s
        self._absent_since: dict[_Place, datetime] = {}
        self._lost: set[_Place] = set()

    @property
    def lost(self) -> frozenset[_Place]:
        """Tasks whose answering side has no live worker, with that side."""
        return frozenset(self._lost)

    async def look(self) -> list[GateVerdict]:
        """Tell each loss once; gives what this process changed. Raises `StoreUnavailable`."""
        if not self._catalogue.current:
            # Nobody heard of anybody: the workers are not gone because Redis is. The time begins again once it is back.
            self._absent_since.clear()
            return []
        snapshot = self._flags.snapshot
        absent = self._absent_places(snapshot)
        for place in self._lost - absent:
            log.info("workers_back", extra={"task_name": place[0], "side": place[1].value})
        self._lost &= absent
        now = self._now()
        self._absent_since = {place: self._absent_since.get(place, now) for place in absent}
        changed: list[GateVerdict] = []
        for place in sorted(absent - self._lost):
            if (now - self._absent_since[place]).total_seconds() < self._grace_s:
                continue
            verdict = await self._settle(place, snapshot)
            if verdict is None:
                break  # the flags changed meanwhile: the next look sees them
            self._lost.add(place)
            if verdict.changed_to is not None:
                changed.append(verdict)
                break  # so they did now
        return changed

    def _absent_places(self, snapshot: FlagSnapshot) -> set[_Place]:
        """Where nobody is, of the sides that answer: whether they left or never came, callers get no answer."""
        absent: set[_Place] = set()
        for task in tasks_of(self._flags, self._catalogue):
            flag = snapshot.flag_for(task)
            # At legacy, a name nobody knows on any side is a flag too many and nobody's loss.
            if flag is None or (flag.mode is Mode.LEGACY and not self._catalogue.served_by(task)):
                continue
            for side in answering_sides(flag.mode):
                if not self._catalogue.live_workers(side, task):
                    absent.add((task, side))
        return absent

    async def _settle(self, place: _Place, snapshot: FlagSnapshot) -> GateVerdict | None:
        task, side = place
        flag = snapshot.flag_for(task)
        assert flag is not None
        log.error("last_worker_lost", extra={"task_name": task, "side": side.value, "on_worker_loss": flag.on_worker_loss.value})
        verdict = self._verdict(task, side, flag, snapshot)
        if verdict.action is GateAction.ROLL_BACK and verdict.why_not is None:
            try:
                verdict = replace(verdict, changed_to=await self._take_back(task, flag, snapshot, verdict))
            except FlagConflict:
                return None
            except FlagsElsewhere:
                verdict = replace(verdict, why_not="flags are changed elsewhere")
        await self._tell.tell(verdict)
        return verdict

    def _verdict(self, task: str, side: Side, flag: Flag, snapshot: FlagSnapshot) -> GateVerdict:
        gone = "its last worker is gone" if side in self._catalogue.served_by(task) else "no worker of it has ever announced the task"
        text = f"the {side.value} side answers for {task!r}, and {gone}"
        why_not = None
        if side is Side.LEGACY:
            why_not = "there is nothing to go back to: start a Celery worker for it"
        elif flag.on_worker_loss is OnWorkerLoss.ALERT:
            why_not = "on_worker_loss: alert"
        elif not self._catalogue.live_workers(Side.LEGACY, task):
            why_not = "legacy has no live worker either"
        check = Check(name=CheckName.WORKERS, result=CheckResult.FAIL, unit=Unit.COUNT, observed=0, limit=1, text=text)
        return GateVerdict(
            id=self._new_id(),
            task=task,
            action=GateAction.ROLL_BACK if side is Side.EVENTS else GateAction.HOLD,
            reason=text,
            step=str(step_of(flag)),
            flag_version=snapshot.version,
            why_not=why_not,
            checks=(check,),
            decided_at=self._now(),
        )

    async def _take_back(self, task: str, flag: Flag, snapshot: FlagSnapshot, verdict: GateVerdict) -> int:
        done = await self._flags.replace(
            snapshot.with_flag(replace(to_legacy(flag), task=task)),
            expected_version=snapshot.version,
            author=GATE_AUTHOR,
            reason=verdict.reason,
            source="gate",
            evidence=FlagEvidence(report=verdict.id, checks=verdict.checks),
        )
        return done.version
