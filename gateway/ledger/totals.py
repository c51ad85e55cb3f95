"""What tallies add up to, in memory, and the report it makes: of the ledger in memory, and of the pairs of one cohort key."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from dualrun.contracts import Role
from gateway.core.comparison import Comparison, Verdict
from gateway.core.latency import latency_of
from gateway.core.moment import as_utc, hour_of
from gateway.core.node_time import nodes_of
from gateway.core.report import KEY_PAIRS, TREND_HOURS, DifferenceGroup, ReportScope, Sample, ShadowReport, TaskReport, added
from gateway.core.sketch import Sketch
from gateway.core.skew import SkewCount
from gateway.core.triage import TriageNote, TriageState
from gateway.ledger.tally import DROPPED, RAN_AGAIN, UNANSWERED, UNKNOWN, GroupHour, GroupKey, GroupTally, Tally, slot_for, tally

__all__ = ["Said", "Totals", "as_said", "report_by_key", "skew_counts", "within"]


Said = Mapping[GroupKey, tuple[TriageState, TriageNote | None]]
"""Where groups stand, and what was said last."""


class _Group:
    """A difference group and its samples."""

    def __init__(self, seed: GroupTally) -> None:
        self.task, self.difference = seed.task, seed.difference
        self.first_seen, self.last_seen = seed.first_seen, seed.last_seen
        self.hours: Counter[GroupHour] = Counter()
        self.samples: dict[int, Sample] = {}
        self.count = 0
        self.cohorts = Sketch()
        self.triage = TriageState.OPEN
        self.note: TriageNote | None = None

    def add(self, key: GroupKey, more: GroupTally) -> None:
        for seen, sample in enumerate(more.samples, max(0, self.count + more.count - len(more.samples)) + 1):
            slot = slot_for(key, sample.submission_id, seen)
            if slot is not None:
                self.samples[slot] = sample
        self.count += more.count
        self.hours.update(more.hours)
        self.cohorts = self.cohorts.with_keys(more.cohort_keys)
        came_again = self.note is not None and more.count > 0 and more.last_seen > self.note.said_at
        if self.triage is TriageState.FIXED and came_again:
            self.triage = TriageState.REOPENED
        self.first_seen, self.last_seen = min(self.first_seen, more.first_seen), max(self.last_seen, more.last_seen)


class Totals:
    """All tallies added to it."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._groups: dict[GroupKey, _Group] = {}
        self._cohorts: dict[str, Sketch] = defaultdict(Sketch)

    def sampled(self) -> set[str]:
        """The submissions that are a sample of a group."""
        return {sample.submission_id for group in self._groups.values() for sample in group.samples.values()}

    def add(self, more: Tally) -> None:
        """Add one."""
        for key, n in more.verdicts.items():
            self._tally.verdicts[key] += n
        self._tally.latencies.update(more.latencies)
        self._tally.ratios.update(more.ratios)
        self._tally.nodes.update(more.nodes)
        self._tally.controls.update(more.controls)
        self._tally.answers.update(more.answers)
        self._tally.skews.update(more.skews)
        for task, keys in more.cohort_keys.items():
            self._cohorts[task] = self._cohorts[task].with_keys(keys)
        for group_key, group in sorted(more.groups.items(), key=lambda item: item[0]):
            self._groups.setdefault(group_key, _Group(group)).add(group_key, group)

    def triage(self, fingerprint: str, note: TriageNote) -> bool:
        """Say where a group stands; False where there is none."""
        found = [group for (name, _), group in self._groups.items() if name == fingerprint]
        for group in found:
            group.triage, group.note = note.state, note
        return bool(found)

    def said(self) -> Said:
        """Where each group stands."""
        return {key: (group.triage, group.note) for key, group in self._groups.items()}

    def controls(self) -> Mapping[str, Mapping[str, int]]:
        """By task, in how many control runs each group was seen."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for (task, fingerprint), n in self._tally.controls.items():
            found[task][fingerprint] = n
        return found

    def group(self, fingerprint: str, *, now: datetime) -> DifferenceGroup | None:
        """A group without what rules hide of it."""
        group = self._groups.get((fingerprint, ""))
        return None if group is None else _difference_group((fingerprint, ""), group, group.count, now)

    def verdicts_of(self, task: str, versions: range) -> Counter[Verdict]:
        """How often each verdict was given under flag versions."""
        found: Counter[Verdict] = Counter()
        for (name, _, version, _, verdict), n in self._tally.verdicts.items():
            if name == task and version in versions and n:
                found[verdict] += n
        return found

    def ratios_of(self, task: str, versions: range) -> Counter[int]:
        """Pairs by the bin of their ratio of run times, under flag versions."""
        found: Counter[int] = Counter()
        for (name, version, bin_), n in self._tally.ratios.items():
            if name == task and version in versions:
                found[bin_] += n
        return found

    def reports(self, scope: ReportScope, pending: Mapping[str, int], *, now: datetime) -> tuple[TaskReport, ...]:
        """Per task in the scope, by name; `pending` is how many pairs wait."""
        holds = within(scope)
        verdicts = {name for (name, hour, version, cohort, _), n in self._tally.verdicts.items() if n and holds(hour, version, cohort)}
        groups = self._groups_in(holds, now)
        names = sorted(verdicts | set(pending) | set(groups)) if scope.task is None else [scope.task]
        return tuple(self._report(name, holds, pending.get(name, 0), groups.get(name, ())) for name in names)

    def _groups_in(self, holds: Holds, now: datetime) -> dict[str, list[DifferenceGroup]]:
        found: dict[str, list[DifferenceGroup]] = defaultdict(list)
        for key, group in self._groups.items():
            count = sum(n for hour, n in group.hours.items() if holds(*hour))
            if count > 0:
                found[group.task].append(_difference_group(key, group, count, now))
        return {task: sorted(groups, key=lambda group: (-group.count, group.path, group.fingerprint)) for task, groups in found.items()}

    def _report(self, task: str, holds: Holds, pending: int, groups: Iterable[DifferenceGroup]) -> TaskReport:
        by_version: dict[int, Counter[Verdict]] = defaultdict(Counter)
        by_cohort: dict[str, Counter[Verdict]] = defaultdict(Counter)
        for (name, hour, version, cohort, verdict), n in self._tally.verdicts.items():
            if name == task and holds(hour, version, cohort) and n:
                by_version[version][verdict] += n
                by_cohort[cohort][verdict] += n
        histograms: dict[Role, Counter[int]] = {role: Counter() for role in Role}
        for (name, role, hour, bucket), n in self._tally.latencies.items():
            if name == task and holds(hour, None, None):
                histograms[role][bucket] += n
        nodes: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
        for (name, path, measure, bucket), n in self._tally.nodes.items():
            if name == task:
                nodes[path][measure][bucket] = n
        return TaskReport(
            task=task,
            counts=added(by_version),
            pending=pending,
            authority_latency=latency_of(histograms[Role.AUTHORITY]),
            shadow_latency=latency_of(histograms[Role.SHADOW]),
            groups=tuple(groups),
            by_flag_version=by_version,
            by_cohort=by_cohort,
            by_skew=skew_counts({(bucket, different): n for (name, bucket, different), n in self._tally.skews.items() if name == task}),
            cohorts=self._cohorts[task].count(),
            controls={fingerprint: n for (name, fingerprint), n in self._tally.controls.items() if name == task},
            nodes=tuple(nodes_of(nodes)),
            answers_dropped=self._tally.answers[task, DROPPED],
            calls_unknown=self._tally.answers[task, UNKNOWN],
            calls_unanswered=self._tally.answers[task, UNANSWERED],
            ran_again=self._tally.answers[task, RAN_AGAIN],
        )


Holds = Callable[[datetime, int | None, str | None], bool]
"""Whether an hour, a flag version and a cohort are within a scope; None for one that is not looked at."""


def within(scope: ReportScope) -> Holds:
    """The hours from the one `since` is in to the one `until` is in, of one flag version and cohort or all."""
    begin = None if scope.since is None else hour_of(scope.since)
    end = None if scope.until is None else as_utc(scope.until)

    def holds(hour: datetime, version: int | None, cohort: str | None) -> bool:
        if (begin is not None and hour < begin) or (end is not None and hour > end):
            return False
        return (version is None or scope.flag_version in (None, version)) and (cohort is None or scope.cohort in (None, cohort))

    return holds


def skew_counts(pairs: Mapping[tuple[int, bool], int]) -> tuple[SkewCount, ...]:
    """By bucket and whether they differ, put together by bucket; those without pairs left out."""
    buckets = sorted({bucket for bucket, _ in pairs})
    counts = (SkewCount(bucket=one, same=pairs.get((one, False), 0), different=pairs.get((one, True), 0)) for one in buckets)
    return tuple(count for count in counts if count.pairs > 0)


def report_by_key(latest: Iterable[Comparison], scope: ReportScope, waiting: Mapping[str, int], *, now: datetime) -> ShadowReport:
    """The report of a cohort key, from its comparisons, the latest first. What is said of groups at large is added by `as_said`."""
    pairs = [replace(one, cohort_key=scope.cohort_key or "") for one in latest]
    totals = Totals()
    totals.add(tally(pairs[:KEY_PAIRS], ()))
    tasks = totals.reports(scope, waiting, now=now)
    return ShadowReport(scope=scope, generated_at=now, tasks=tasks, pairs_left_out=max(0, len(pairs) - KEY_PAIRS))


def as_said(report: ShadowReport, said: Said, controls: Mapping[str, Mapping[str, int]]) -> ShadowReport:
    """The report, its groups standing where people put them, and held against control runs."""

    def standing(group: DifferenceGroup) -> DifferenceGroup:
        state, note = said.get((group.fingerprint, group.ignored_by or ""), (TriageState.OPEN, None))
        return replace(group, triage=state, triage_note=note)

    tasks = (replace(task, controls=controls.get(task.task, {}), groups=tuple(map(standing, task.groups))) for task in report.tasks)
    return replace(report, tasks=tuple(tasks))


def _difference_group(key: GroupKey, group: _Group, count: int, now: datetime) -> DifferenceGroup:
    fingerprint, ignored_by = key
    last = hour_of(now)
    by_hour: Counter[datetime] = Counter()
    for (hour, *_), n in group.hours.items():
        by_hour[hour] += n
    trend = tuple(by_hour[last - timedelta(hours=back)] for back in reversed(range(TREND_HOURS)))
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
        triage=group.triage,
        triage_note=group.note,
        cohorts=group.cohorts.count(),
        trend=trend if any(trend) else (),
    )
