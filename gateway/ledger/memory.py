"""The ledger in memory: for the embedded mode without a file, and for tests. Nothing outlives the process."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from dualrun.contracts import Outcome, Record, Role, SubmissionRecord
from gateway.core.comparison import Comparison, Verdict
from gateway.core.latency import latency_of
from gateway.core.moment import as_utc, hour_of
from gateway.core.pairing import due_time
from gateway.core.ports import Pair
from gateway.core.report import DifferenceGroup, Sample, ShadowReport, SubmissionView, TaskReport
from gateway.ledger.tally import GroupKey, GroupTally, Tally, slot_for, tally

__all__ = ["MemoryLedger"]


class _Group:
    """A difference group and its samples."""

    def __init__(self, seed: GroupTally) -> None:
        self.task, self.difference = seed.task, seed.difference
        self.first_seen, self.last_seen = seed.first_seen, seed.last_seen
        self.hours: Counter[datetime] = Counter()
        self.samples: dict[int, Sample] = {}
        self.count = 0

    def add(self, key: GroupKey, more: GroupTally) -> None:
        for seen, sample in enumerate(more.samples, self.count + 1):
            slot = slot_for(key, sample.submission_id, seen)
            if slot is not None:
                self.samples[slot] = sample
        self.count += more.count
        self.hours.update(more.hours)
        self.first_seen, self.last_seen = min(self.first_seen, more.first_seen), max(self.last_seen, more.last_seen)


class MemoryLedger:
    """Implements `LedgerWriter` and `LedgerReader`."""

    def __init__(self) -> None:
        self._submissions: dict[str, SubmissionRecord] = {}
        self._outcomes: dict[str, dict[Role, tuple[Outcome, datetime]]] = defaultdict(dict)
        self._comparisons: dict[str, Comparison] = {}
        self._pending: dict[str, datetime] = {}
        self._tally = Tally()
        self._groups: dict[GroupKey, _Group] = {}

    async def append(self, records: Sequence[Record], *, arrived_at: datetime) -> Sequence[str]:
        touched: dict[str, None] = {}
        for record in records:
            if isinstance(record, SubmissionRecord):
                touched[record.submission.id] = None
                self._append_submission(record)
            else:
                touched[record.submission_id] = None
                self._outcomes[record.submission_id].setdefault(record.role, (record, as_utc(arrived_at)))
        return list(touched)

    async def pairs(self, submission_ids: Sequence[str]) -> Sequence[Pair]:
        return [
            self._pair(record)
            for id_ in dict.fromkeys(submission_ids)
            if (record := self._submissions.get(id_)) is not None and record.decision.shadow is not None and not self._is_final(id_)
        ]

    async def overdue(self, submitted_before: datetime, limit: int) -> Sequence[Pair]:
        due = sorted((due_at, id_) for id_, due_at in self._pending.items() if due_at < submitted_before)
        return [self._pair(self._submissions[id_]) for _, id_ in due[:limit]]

    async def store(self, comparisons: Sequence[Comparison]) -> None:
        stored: dict[str, Comparison] = {}
        replaced: list[Comparison] = []
        for comparison in comparisons:
            id_ = comparison.submission_id
            old = self._comparisons.get(id_)
            if old is not None and not (old.verdict is Verdict.MISSING and comparison.verdict is Verdict.LATE):
                continue
            # A missing that this very batch brought has not been counted yet.
            if old is not None and id_ not in stored:
                replaced.append(old)
            self._comparisons[id_] = stored[id_] = comparison
            self._pending.pop(id_, None)
        self._count(tally(stored.values(), replaced))

    async def submission(self, submission_id: str) -> SubmissionView | None:
        record = self._submissions.get(submission_id)
        if record is None:
            return None
        outcomes = self._outcomes.get(submission_id, {})
        authority, shadow = outcomes.get(Role.AUTHORITY), outcomes.get(Role.SHADOW)
        return SubmissionView(
            submission=record.submission,
            decision=record.decision,
            authority=None if authority is None else authority[0],
            shadow=None if shadow is None else shadow[0],
            comparison=self._comparisons.get(submission_id),
        )

    async def shadow_report(self, task: str | None, *, since: datetime | None, until: datetime | None, now: datetime) -> ShadowReport:
        window = _Hours(since, until)
        pending = Counter(self._submissions[id_].submission.task for id_, due_at in self._pending.items() if due_at in window)
        verdicts = {name for (name, hour, _, _), n in self._tally.verdicts.items() if n and hour in window}
        groups = self._groups_in(window)
        names = verdicts | set(pending) | set(groups)
        wanted = sorted(names) if task is None else [task]
        tasks = tuple(self._task_report(name, window, pending[name], groups.get(name, [])) for name in wanted)
        return ShadowReport(since=since, until=until, generated_at=now, tasks=tasks)

    def _append_submission(self, record: SubmissionRecord) -> None:
        id_ = record.submission.id
        if self._submissions.setdefault(id_, record) is record and record.decision.shadow is not None:
            self._pending[id_] = due_time(record.submission)

    def _is_final(self, submission_id: str) -> bool:
        comparison = self._comparisons.get(submission_id)
        return comparison is not None and comparison.verdict is not Verdict.MISSING

    def _pair(self, record: SubmissionRecord) -> Pair:
        outcomes = self._outcomes.get(record.submission.id, {})
        comparison = self._comparisons.get(record.submission.id)
        return Pair(
            record=record,
            outcomes={role: outcome for role, (outcome, _) in outcomes.items()},
            arrived_at={role: arrived_at for role, (_, arrived_at) in outcomes.items()},
            verdict=None if comparison is None else comparison.verdict,
        )

    def _count(self, added: Tally) -> None:
        for key, n in added.verdicts.items():
            self._tally.verdicts[key] += n
        self._tally.latencies.update(added.latencies)
        for group_key, group in sorted(added.groups.items(), key=lambda item: item[0]):
            self._groups.setdefault(group_key, _Group(group)).add(group_key, group)

    def _groups_in(self, window: _Hours) -> dict[str, list[DifferenceGroup]]:
        found: dict[str, list[DifferenceGroup]] = defaultdict(list)
        for key, group in self._groups.items():
            count = sum(n for hour, n in group.hours.items() if hour in window)
            if count:
                found[group.task].append(_difference_group(key, group, count))
        return {task: sorted(groups, key=lambda group: (-group.count, group.path, group.fingerprint)) for task, groups in found.items()}

    def _task_report(self, task: str, window: _Hours, pending: int, groups: Iterable[DifferenceGroup]) -> TaskReport:
        counts: Counter[Verdict] = Counter()
        for (name, hour, _, verdict), n in self._tally.verdicts.items():
            if name == task and hour in window and n:
                counts[verdict] += n
        histograms: dict[Role, Counter[int]] = {role: Counter() for role in Role}
        for (name, role, hour, bucket), n in self._tally.latencies.items():
            if name == task and hour in window:
                histograms[role][bucket] += n
        return TaskReport(
            task=task,
            counts=dict(counts),
            pending=pending,
            authority_latency=latency_of(histograms[Role.AUTHORITY]),
            shadow_latency=latency_of(histograms[Role.SHADOW]),
            groups=tuple(groups),
        )


class _Hours:
    """The hours from the one `since` is in to the one `until` is in."""

    def __init__(self, since: datetime | None, until: datetime | None) -> None:
        self._begin = None if since is None else hour_of(since)
        self._end = None if until is None else as_utc(until)

    def __contains__(self, moment: datetime) -> bool:
        return (self._begin is None or moment >= self._begin) and (self._end is None or moment <= self._end)


def _difference_group(key: GroupKey, group: _Group, count: int) -> DifferenceGroup:
    fingerprint, ignored_by = key
    return DifferenceGroup(
        fingerprint=fingerprint,
        task=group.task,
        aspect=group.difference.aspect,
        kind=group.difference.kind,
        path=group.difference.path,
        count=count,
        ignored_by=ignored_by or None,
        first_seen=group.first_seen,
        last_seen=group.last_seen,
        samples=tuple(group.samples[slot] for slot in sorted(group.samples)),
    )
