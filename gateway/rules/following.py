"""Rules that change while a comparator runs: adopted at once, and what is on record is judged again by them in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gateway.comparison import RuleBook
from gateway.core.errors import RulesRejected, StoreUnavailable
from gateway.core.ports import JudgementLedger
from gateway.judge import Judge
from gateway.rules.directory import load_rules
from gateway.usecases.judge_again import judge_again

__all__ = ["RuleFollower"]

log = logging.getLogger(__name__)

_AGAIN_S = 5.0


class RuleFollower:
    """Follows a directory of rules for one comparator. A broken file changes nothing: the rules before it stay in force."""

    def __init__(
        self, directory: Path | None, judge: Judge, ledger: JudgementLedger, *, now: Callable[[], datetime], interval_s: float = _AGAIN_S
    ) -> None:
        self._directory = directory
        self._judge = judge
        self._ledger = ledger
        self._now = now
        self._interval_s = interval_s
        self._refused = ""
        self.judged_again = 0
        """Pairs judged again since it was made."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set."""
        adopted: str | None = None
        judged_by = self._judge.rules.version
        while not stopping.is_set():
            self._judge.adopt(self._read())
            version = self._judge.rules.version
            try:
                if version != adopted:
                    await self._adopt(version)
                    adopted = version
                    # The other comparators adopt them meanwhile: what one of them still judges by the old ones is among the stored pairs.
                    await self._pause(stopping)
                    self.judged_again += await self._judge_again(version, stopping, once_more=judged_by != version)
                    judged_by = version
            except StoreUnavailable as exc:
                adopted = None
                log.warning("ledger_out_of_reach", extra={"reason": str(exc)})
            await self._pause(stopping)

    async def _pause(self, stopping: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), self._interval_s)

    async def _adopt(self, version: str) -> None:
        # A comparator that starts with the rules in force must not make them look newer than they are.
        in_force = await self._ledger.rules_in_force()
        if in_force is None or in_force.version != version:
            await self._ledger.adopt_rules(version, at=self._now())
            log.info("rules_adopted", extra={"ruleset_version": version})

    async def _judge_again(self, version: str, stopping: asyncio.Event, *, once_more: bool) -> int:
        def goes_on() -> bool:
            return not stopping.is_set()

        judged = await judge_again(version, ledger=self._ledger, compare=self._judge.compare, goes_on=goes_on, once_more=once_more)
        if judged:
            log.info("pairs_judged_again", extra={"pairs": judged, "ruleset_version": version})
        return judged

    def _read(self) -> RuleBook:
        if self._directory is None or not self._directory.is_dir():
            return self._judge.rules
        try:
            return load_rules(self._directory)
        except RulesRejected as exc:
            if str(exc) != self._refused:
                self._refused = str(exc)
                log.error("rules_rejected", extra={"reason": str(exc)})
            return self._judge.rules
