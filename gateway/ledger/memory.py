"""The ledger in memory: for the embedded mode without a file, and for tests. Nothing outlives the process."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from dualrun.contracts import Outcome, Reason, Record, Role, Side, State, SubmissionRecord
from gateway.core.comparison import Comparison, Verdict
from gateway.core.gate import GateVerdict
from gateway.core.moment import as_utc
from gateway.core.pairing import due_time
from gateway.core.ports import NumberedVerdict, Pair, Place, RulesInForce, Stored
from gateway.core.report import DifferenceGroup, ReportScope, ShadowReport, SubmissionView
from gateway.core.step_evidence import KEYS_LOOKED_AT, StepEvidence
from gateway.core.triage import TriageNote
from gateway.ledger.memory_browsing import MemoryBrowsing
from gateway.ledger.tally import RAN_AGAIN, Tally, executions, is_rerun, rerun_name, tally, tally_of_judgements
from gateway.ledger.totals import Totals, as_said, report_by_key, within

__all__ = ["MemoryLedger"]


def _redirects(record: SubmissionRecord) -> int:
    return 0 if record.redirected is None else record.redirected.times


class MemoryLedger(MemoryBrowsing):
    """Implements every port of the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self._submissions: dict[str, SubmissionRecord] = {}
        self._outcomes: dict[str, dict[Role, tuple[Outcome, datetime]]] = defaultdict(dict)
        self._comparisons: dict[str, Comparison] = {}
        self._pending: dict[str, datetime] = {}
        self._reruns: set[tuple[str, Role, str]] = set()
        self._totals = Totals()
        self._rules: dict[str, datetime] = {}
        self._rules_applied: set[str] = set()
        self._states: Counter[tuple[str, int, Side, Role, State]] = Counter()
        self._gate_verdicts: dict[str, list[GateVerdict]] = defaultdict(list)

    async def append(self, records: Sequence[Record], *, arrived_at: datetime) -> Sequence[str]:
        touched: dict[str, None] = {}
        for record in records:
            if isinstance(record, SubmissionRecord):
                touched[record.submission.id] = None
                self._append_submission(record)
            else:
                touched[record.submission_id] = None
                self._append_outcome(record, as_utc(arrived_at))
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
            if old is not None and not (old.verdict is Verdict.MISSING and comparison.verdict is not Verdict.MISSING):
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
            redirected=record.redirected,
            authority=None if authority is None else authority[0],
            shadow=None if shadow is None else shadow[0],
            comparison=self._comparisons.get(submission_id),
        )

    async def latest(self, task: str, limit: int) -> Sequence[SubmissionView]:
        of_task = [one.submission for one in self._submissions.values() if one.submission.task == task]
        newest = sorted(of_task, key=lambda one: as_utc(one.submitted_at), reverse=True)[:limit]
        return [view for one in newest if (view := await self.submission(one.id)) is not None]

    async def difference(self, fingerprint: str, *, now: datetime) -> DifferenceGroup | None:
        return self._totals.group(fingerprint, now=now)

    async def triage(self, fingerprint: str, note: TriageNote) -> bool:
        return self._totals.triage(fingerprint, note)

    async def adopt_rules(self, version: str, *, at: datetime) -> None:
        self._rules[version] = as_utc(at)
        self._rules_applied.discard(version)

    async def rules_in_force(self) -> RulesInForce | None:
        latest = max(self._rules, key=lambda version: self._rules[version], default=None)
        return None if latest is None else RulesInForce(latest, latest in self._rules_applied)

    async def rules_applied(self, version: str) -> None:
        self._rules_applied.add(version)

    async def stored(self, *, other_than: str, before: str | None, limit: int) -> tuple[Sequence[Stored], str | None]:
        ids = sorted((id_ for id_ in self._comparisons if before is None or id_ < before), reverse=True)[:limit]
        found = []
        for id_ in ids:
            comparison, sides = self._comparisons[id_], self._outcomes[id_]
            if comparison.ruleset_version != other_than and comparison.verdict is not Verdict.MISSING and len(sides) == len(Role):
                submission = self._submissions[id_].submission
                found.append(Stored(comparison, submission, sides[Role.AUTHORITY][0], sides[Role.SHADOW][0]))
        return found, ids[-1] if len(ids) == limit else None

    async def replace(self, comparisons: Sequence[Comparison]) -> int:
        new = [one for one in comparisons if self._comparisons[one.submission_id].ruleset_version != one.ruleset_version]
        old = [self._comparisons[one.submission_id] for one in new]
        self._comparisons.update({one.submission_id: one for one in new})
        self._count(tally_of_judgements(new, old))
        return len(new)

    async def shadow_report(self, scope: ReportScope, *, now: datetime) -> ShadowReport:
        if scope.cohort_key is not None:
            return self._report_by_key(scope, now)
        return ShadowReport(scope=scope, generated_at=now, tasks=self._totals.reports(scope, self._waiting(scope), now=now))

    async def step_evidence(self, task: str, *, since_version: int, until_version: int, since: datetime) -> StepEvidence:
        versions = range(since_version, until_version + 1)
        outcomes = self._outcomes_of(task, versions)
        verdicts, ratios = self._totals.verdicts_of(task, versions), self._totals.ratios_of(task, versions)
        return StepEvidence(verdicts=verdicts, outcomes=outcomes, ratios=ratios, keys=self._dealt_keys(task, versions))

    async def outcomes_before(self, task: str, *, version: int) -> Mapping[tuple[Side, Role, State], int]:
        return self._outcomes_of(task, range(version))

    def _outcomes_of(self, task: str, versions: range) -> Mapping[tuple[Side, Role, State], int]:
        outcomes: Counter[tuple[Side, Role, State]] = Counter()
        for (name, version, side, role, state), n in self._states.items():
            if name == task and version in versions:
                outcomes[side, role, state] += n
        return outcomes

    async def latest_verdict(self, task: str) -> NumberedVerdict | None:
        said = self._gate_verdicts.get(task)
        return NumberedVerdict(len(said), said[-1]) if said else None

    async def append_verdict(self, numbered: NumberedVerdict) -> bool:
        said = self._gate_verdicts[numbered.verdict.task]
        if numbered.ordinal != len(said) + 1:
            return False
        said.append(numbered.verdict)
        return True

    async def drop_records(self, before: datetime, *, after: Place | None, limit: int) -> tuple[int, Place | None]:
        kept = self._totals.sampled() | self._pending.keys()
        due = (
            (as_utc(record.submission.submitted_at), id_)
            for id_, record in self._submissions.items()
            if id_ not in kept and as_utc(due_time(record)) < before
        )
        aged = sorted(one for one in due if after is None or one > (after.submitted_at, after.submission_id))[:limit]
        for _, id_ in aged:
            del self._submissions[id_]
            self._outcomes.pop(id_, None)
            self._comparisons.pop(id_, None)
        return len(aged), Place(submitted_at=aged[-1][0], submission_id=aged[-1][1]) if len(aged) == limit else None

    async def drop_orphans(self, before: datetime, *, limit: int) -> int:
        orphans = [
            id_
            for id_, known in self._outcomes.items()
            if id_ not in self._submissions and any(arrived_at < before for _, arrived_at in known.values())
        ][:limit]
        for id_ in orphans:
            del self._outcomes[id_]
        return len(orphans)

    async def drop_hours(self, before: datetime) -> int:
        """None: totals are added up from hours here, and end with the process."""
        return 0

    def _dealt_keys(self, task: str, versions: range) -> Mapping[Side, int]:
        dealt = [
            record
            for record in self._submissions.values()
            if record.submission.task == task
            and record.decision.flag_version in versions
            and record.decision.reason in (Reason.IN_ROLLOUT, Reason.OUT_OF_ROLLOUT)
            and record.decision.rule is None
        ]
        latest = sorted(dealt, key=lambda record: as_utc(record.submission.submitted_at))[-KEYS_LOOKED_AT:]
        keys: dict[Side, set[str]] = defaultdict(set)
        for record in latest:
            keys[record.decision.authority].add(record.submission.cohort_key)
        return {side: len(found) for side, found in keys.items()}

    def _append_submission(self, record: SubmissionRecord) -> None:
        id_ = record.submission.id
        known = self._submissions.get(id_)
        if known is not None and _redirects(known) >= _redirects(record):
            return
        self._submissions[id_] = record
        self._pending.pop(id_, None)
        if record.decision.shadow is not None:
            self._pending[id_] = due_time(record)

    def _append_outcome(self, outcome: Outcome, arrived_at: datetime) -> None:
        known = self._outcomes[outcome.submission_id]
        if outcome.role not in known:
            known[outcome.role] = outcome, arrived_at
            self._states[outcome.task, outcome.flag_version, outcome.side, outcome.role, outcome.state] += 1
            self._add_activity(executions([outcome]))
        elif (
            is_rerun(known[outcome.role][0], outcome)
            and (rerun := (outcome.submission_id, outcome.role, rerun_name(outcome))) not in self._reruns
        ):
            self._reruns.add(rerun)
            self._totals.add(Tally(answers=Counter({(outcome.task, RAN_AGAIN): 1})))

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

    def _count(self, more: Tally) -> None:
        self._totals.add(more)
        self._add_activity({key: (n, 0.0) for key, n in more.matches.items()})

    def _waiting(self, scope: ReportScope) -> Counter[str]:
        holds = within(scope)
        submissions = (self._submissions[id_].submission for id_, due_at in self._pending.items() if holds(due_at, None, None))
        return Counter(one.task for one in submissions if scope.task in (None, one.task) and scope.cohort_key in (None, one.cohort_key))

    def _report_by_key(self, scope: ReportScope, now: datetime) -> ShadowReport:
        of_key = [one for one in self._comparisons.values() if one.cohort_key == scope.cohort_key and scope.task in (None, one.task)]
        of_key.sort(key=lambda one: as_utc(one.compared_at), reverse=True)
        report = report_by_key(of_key, scope, self._waiting(scope), now=now)
        return as_said(report, self._totals.said(), self._totals.controls())
