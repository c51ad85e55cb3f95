"""Put what the gate says on record, and tell it: once, whatever number of comparators say the same."""

from __future__ import annotations

import logging

from gateway.core.errors import StoreUnavailable
from gateway.core.gate import CheckName, CheckResult, GateAction, GateVerdict
from gateway.core.ports import GateLedger, GateNotices, NumberedVerdict

__all__ = ["TellVerdict"]

log = logging.getLogger(__name__)

_Mind = tuple[str, GateAction, int | None, str | None, tuple[CheckName, ...]]


class TellVerdict:
    """Tells a task's verdict where it is another than the one told last."""

    def __init__(self, ledger: GateLedger, notices: GateNotices) -> None:
        self._ledger = ledger
        self._notices = notices
        self._told: dict[str, _Mind] = {}

    async def tell(self, verdict: GateVerdict) -> bool:
        """Whether this process was the one to tell it.

        What changed a flag is told even where the ledger is away: of all comparators one made the change.
        """
        mind = _mind_of(verdict)
        if self._told.get(verdict.task) == mind:
            return False
        try:
            first = await self._first_to_say(verdict, mind)
        except StoreUnavailable as exc:
            log.warning("gate_verdict_not_on_record", extra={"task_name": verdict.task, "reason": str(exc)})
            first = verdict.changed_to is not None
            if not first:
                return False
        self._told[verdict.task] = mind
        if first:
            await self._notices.publish(verdict)
        return first

    async def _first_to_say(self, verdict: GateVerdict, mind: _Mind) -> bool:
        while True:
            latest = await self._ledger.latest_verdict(verdict.task)
            if latest is not None and _mind_of(latest.verdict) == mind:
                return False
            ordinal = 1 if latest is None else latest.ordinal + 1
            if await self._ledger.append_verdict(NumberedVerdict(ordinal, verdict)):
                return True


def _mind_of(verdict: GateVerdict) -> _Mind:
    """What makes a verdict another one: numbers that grow do not."""
    failing = tuple(check.name for check in verdict.checks if check.result is CheckResult.FAIL)
    return verdict.step, verdict.action, verdict.changed_to, verdict.why_not, failing
