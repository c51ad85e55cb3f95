"""Look at difference groups, and say where they stand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.core.errors import NotFound
from gateway.core.ports import LedgerReader, TriageLedger
from gateway.core.report import DifferenceGroup, ReportScope, SubmissionView
from gateway.core.triage import TriageNote, TriageState
from gateway.usecases.read_submission import Shown, shown_view

__all__ = ["Examined", "TriageDifferences"]

log = logging.getLogger(__name__)


class Examined(NamedTuple):
    """A group, and all that is known of its samples whose raw records are still there."""

    group: DifferenceGroup
    submissions: Sequence[SubmissionView]


class TriageDifferences:
    """What people do with difference groups; what they said is in the log too."""

    def __init__(self, ledger: LedgerReader, triage: TriageLedger, now: Callable[[], datetime], *, shown: Shown) -> None:
        self._ledger = ledger
        self._triage = triage
        self._now = now
        self._shown = shown

    async def every(self, task: str | None, state: TriageState | None) -> Sequence[DifferenceGroup]:
        """The groups no rule hides, the most frequent first. Raises `StoreUnavailable`."""
        report = await self._ledger.shadow_report(ReportScope(task=task), now=self._now())
        groups = [group for part in report.tasks for group in part.groups if group.ignored_by is None]
        return sorted((group for group in groups if state in (None, group.triage)), key=lambda group: -group.count)

    async def one(self, fingerprint: str) -> Examined:
        """Raises `NotFound`, `StoreUnavailable`."""
        group = await self._ledger.difference(fingerprint, now=self._now())
        if group is None:
            raise NotFound(f"no difference group {fingerprint!r}")
        views = [await self._ledger.submission(sample.submission_id) for sample in group.samples]
        return Examined(group, [shown_view(view, self._shown) for view in views if view is not None])

    async def say(self, fingerprint: str, state: TriageState, *, author: str, note: str) -> DifferenceGroup:
        """Put a group in a state. Raises `NotFound`, `StoreUnavailable`."""
        said = TriageNote(state=state, author=author, note=note, said_at=self._now())
        if not await self._triage.triage(fingerprint, said):
            raise NotFound(f"no difference group {fingerprint!r}")
        log.info("difference_triaged", extra={"fingerprint": fingerprint, "state": str(state), "author": author})
        return (await self.one(fingerprint)).group
