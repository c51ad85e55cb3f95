"""What people look through, of the ledger in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.core.activity import ActivityPoint, step_of_moment
from gateway.core.comparison import Comparison
from gateway.core.moment import as_utc
from gateway.core.report import ReportScope, ShadowReport
from gateway.core.search import FoundSubmission, SubmissionPage, SubmissionSearch
from gateway.ledger.activity_points import points_of
from gateway.ledger.tally import ActivityKey

if TYPE_CHECKING:
    from dualrun.contracts import SubmissionRecord
    from gateway.core.gate import GateVerdict

__all__ = ["MemoryBrowsing"]


class MemoryBrowsing:
    """Implements `LedgerBrowser` for the ledger that has these members."""

    _submissions: dict[str, SubmissionRecord]
    _comparisons: dict[str, Comparison]
    _pending: dict[str, datetime]
    _gate_verdicts: dict[str, list[GateVerdict]]

    def __init__(self) -> None:
        self._activity: dict[ActivityKey, tuple[int, float]] = {}

    async def shadow_report(self, scope: ReportScope, *, now: datetime) -> ShadowReport:
        """As `LedgerReader` says."""
        raise NotImplementedError

    async def activity(
        self, tasks: Collection[str], *, since: datetime, until: datetime, step_s: int
    ) -> Mapping[str, Sequence[ActivityPoint]]:
        first = step_of_moment(since, step_s)
        return points_of(
            (task, at, series, n, total_ms)
            for (task, step, at, series), (n, total_ms) in self._activity.items()
            if task in tasks and step == step_s and first <= at <= as_utc(until)
        )

    async def standing(self, *, now: datetime) -> ShadowReport:
        report = await self.shadow_report(ReportScope(), now=now)
        return replace(report, tasks=tuple(replace(task, groups=() if task.different else task.groups) for task in report.tasks))

    async def gate_words(self, tasks: Collection[str]) -> Mapping[str, GateVerdict]:
        return {task: said[-1] for task in tasks if (said := self._gate_verdicts.get(task))}

    async def search(self, search: SubmissionSearch) -> SubmissionPage:
        found = sorted(((self._moment(search, id_), id_) for id_ in self._submissions if self._fits(search, id_)), reverse=True)
        if search.before is not None:
            found = [place for place in found if place < search.before]
        page = found[: search.limit]
        return SubmissionPage(tuple(self._found(id_) for _, id_ in page), page[-1] if len(found) > search.limit else None)

    async def differing(self, task: str, limit: int) -> Sequence[Comparison]:
        differing = (one for one in self._comparisons.values() if one.task == task and one.verdict.is_different)
        return sorted(differing, key=lambda one: as_utc(one.compared_at), reverse=True)[:limit]

    def _add_activity(self, counted: Mapping[ActivityKey, tuple[int, float]]) -> None:
        for key, (n, total_ms) in counted.items():
            before = self._activity.get(key, (0, 0.0))
            self._activity[key] = before[0] + n, before[1] + total_ms

    def _fits(self, search: SubmissionSearch, id_: str) -> bool:
        submission, comparison = self._submissions[id_].submission, self._comparisons.get(id_)
        if search.waiting and id_ not in self._pending:
            return False
        if search.verdicts is not None and not search.waiting and (comparison is None or comparison.verdict not in search.verdicts):
            return False
        moment = self._moment(search, id_)
        return (
            search.task in (None, submission.task)
            and id_.startswith(search.id_starts or "")
            and (search.since is None or moment >= as_utc(search.since))
            and (search.until is None or moment < as_utc(search.until))
        )

    def _moment(self, search: SubmissionSearch, id_: str) -> datetime:
        if search.verdicts is not None and not search.waiting:
            return as_utc(self._comparisons[id_].compared_at)
        return as_utc(self._submissions[id_].submission.submitted_at)

    def _found(self, id_: str) -> FoundSubmission:
        record, comparison = self._submissions[id_], self._comparisons.get(id_)
        return FoundSubmission(
            id=id_,
            task=record.submission.task,
            submitted_at=record.submission.submitted_at,
            mode=record.decision.mode,
            authority=record.decision.authority,
            shadow=record.decision.shadow,
            flag_version=record.decision.flag_version,
            verdict=None if comparison is None else comparison.verdict,
            pending=id_ in self._pending,
        )
