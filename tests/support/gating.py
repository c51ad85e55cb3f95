"""A task on its way in memory: a flag store, a catalogue, a ledger, and the use cases of the gate over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import msgspec

from dualrun.contracts import Announcement, Mode, Outcome, Reason, Role, Safety, ServedTask, Side, State
from gateway.catalogue.memory import MemoryCatalogue
from gateway.core.comparison import Verdict
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.gate_settings import Gate
from gateway.core.ports import FlagStore
from gateway.core.stages import at_step
from gateway.core.step import parse_step
from gateway.flags import MemoryFlagStore
from gateway.gating import MemoryGateNotices
from gateway.ledger import MemoryLedger
from gateway.usecases.change_flag import ChangeFlag
from gateway.usecases.forward import AdmitForward
from gateway.usecases.promote_task import PromoteTask
from gateway.usecases.read_gate import ReadGate
from gateway.usecases.roll_back import RollBack
from gateway.usecases.run_gate import RunGate
from gateway.usecases.tell_verdict import TellVerdict
from gateway.usecases.watch_workers import WatchWorkers
from tests.support.records import NOON, a_comparison, a_record, an_outcome

__all__ = ["TASK", "Way", "announcement"]

TASK = "shop.charge"
GATE = Gate(steps=tuple(map(parse_step, ("shadow 100 %", "canary 10 %", "canary 50 %", "events"))), soak_s=60.0, min_samples=300)


def announcement(side: Side, *tasks: str) -> Announcement:
    """One live worker of a side that serves the tasks."""
    served = tuple(ServedTask(task=task) for task in tasks)
    return Announcement(worker=f"{side.value}-1", side=side, service="shop", tasks=served, ttl_s=3_600)


class Way:
    """`TASK` on a step, with a clock that tests turn. Both sides have a live worker that serves it, and what else `serves` names."""

    def __init__(self, flags: FlagStore | None = None, gate: Gate | None = GATE, serves: Sequence[str] = ()) -> None:
        self.now = NOON
        self.flags = flags or MemoryFlagStore(now=self.clock)
        self.catalogue, self.ledger, self.notices = MemoryCatalogue(), MemoryLedger(), MemoryGateNotices()
        for side in Side:
            self.catalogue.announce(announcement(side, TASK, *serves))
        self.gate = gate
        self._ids = count(1)
        self._records = count(1)
        self.wire()

    def wire(self) -> None:
        """Put the use cases over what is there: again, where a test has put another part in place."""
        self.reading = ReadGate(flags=self.flags, catalogue=self.catalogue, ledger=self.ledger, now=self.clock)
        admit = AdmitForward(gate=self.reading, catalogue=self.catalogue)
        self.change = ChangeFlag(self.flags, admit)
        self.roll_back = RollBack(self.flags, admit)
        self.promote = PromoteTask(flags=self.flags, gate=self.reading, catalogue=self.catalogue)

    def clock(self) -> datetime:
        return self.now

    def new_id(self) -> str:
        return f"id-{next(self._ids)}"

    def comparator(self, flags: FlagStore | None = None) -> RunGate:
        """The gate as one comparator runs it; each call is another comparator."""
        reading = ReadGate(flags=flags or self.flags, catalogue=self.catalogue, ledger=self.ledger, now=self.clock)
        tell = TellVerdict(self.ledger, self.notices)
        return RunGate(flags=flags or self.flags, gate=reading, catalogue=self.catalogue, tell=tell, new_id=self.new_id)

    def watch(self, grace_s: float = 15.0) -> WatchWorkers:
        """The watch over workers as one comparator runs it."""
        tell = TellVerdict(self.ledger, self.notices)
        return WatchWorkers(flags=self.flags, catalogue=self.catalogue, tell=tell, new_id=self.new_id, now=self.clock, grace_s=grace_s)

    async def stand(self, step: str, **changes: object) -> FlagSnapshot:
        """Put the task on a step."""
        flag = at_step(Flag(task=TASK, safety=Safety.PURE, gate=self.gate), parse_step(step))
        return await self.put(replace(flag, **changes))  # type: ignore[arg-type]

    async def put(self, *flags: Flag) -> FlagSnapshot:
        """Set flags beside those there are."""
        wanted = {**self.flags.snapshot.flags, **{flag.task: flag for flag in flags}}
        return await self.flags.replace(wanted, expected_version=None, author="ann", reason="", source="api")

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    async def run(
        self, n: int, *, different: int = 0, missing: int = 0, failed: int = 0, hidden: int = 0, version: int | None = None
    ) -> None:
        """n canary submissions on each side, and as many pairs: so many different, missing, hidden by a rule; so many failed on events."""
        at = self.flags.snapshot.version if version is None else version
        ids = [f"r{next(self._records)}" for _ in range(n)]
        verdicts = [Verdict.DIFFERENT_VALUE] * different + [Verdict.MISSING] * missing + [Verdict.IGNORED] * hidden
        verdicts += [Verdict.EQUAL] * (n - len(verdicts))
        pairs = zip(ids, verdicts, strict=True)
        await self.ledger.store([replace(a_comparison(id_, verdict, task=TASK, shadow_ms=8.0), flag_version=at) for id_, verdict in pairs])
        outcomes = [self._outcome(f"{id_}-e", Side.EVENTS, at, failing=index < failed) for index, id_ in enumerate(ids)]
        outcomes += [self._outcome(id_, Side.LEGACY, at, failing=False) for id_ in ids]
        await self.ledger.append(outcomes, arrived_at=self.now)

    async def end(self, side: Side, states: Mapping[State, int], role: Role = Role.AUTHORITY) -> None:
        """So many runs of a side that ended so, under the present flags; nothing is compared."""
        outcomes = [
            msgspec.structs.replace(
                an_outcome(f"r{next(self._records)}", role, task=TASK), side=side, state=state, flag_version=self.flags.snapshot.version
            )
            for state, n in states.items()
            for _ in range(n)
        ]
        await self.ledger.append(outcomes, arrived_at=self.now)

    async def deal(self, keys: Mapping[Side, int]) -> None:
        """So many cohort keys sent to each side."""
        records = []
        for side, n in keys.items():
            reason = Reason.IN_ROLLOUT if side is Side.EVENTS else Reason.OUT_OF_ROLLOUT
            for _ in range(n):
                record = a_record(f"k{next(self._records)}", task=TASK, shadow=None)
                decision = msgspec.structs.replace(
                    record.decision, mode=Mode.CANARY, authority=side, reason=reason, flag_version=self.flags.snapshot.version
                )
                records.append(msgspec.structs.replace(record, decision=decision))
        await self.ledger.append(records, arrived_at=self.now)

    def _outcome(self, id_: str, side: Side, version: int, *, failing: bool) -> Outcome:
        state = State.FAILED if failing else State.SUCCEEDED
        return msgspec.structs.replace(an_outcome(id_, Role.AUTHORITY, task=TASK), side=side, state=state, flag_version=version)
