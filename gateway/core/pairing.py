"""When a submission's two outcomes are compared, and what is said when one of them does not come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from dualrun.contracts import Outcome, Role, Submission, SubmissionRecord
from gateway.core.comparison import Comparison, Difference, Verdict
from gateway.core.moment import as_utc, later
from gateway.core.ports import Pair

__all__ = ["CompareOutcomes", "Judgement", "due_time", "judge_pair"]


class Judgement(NamedTuple):
    """What the rules say of an authority's and a shadow's outcome."""

    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    ruleset_version: str = ""
    node_times: tuple[tuple[str, float, float], ...] = ()


CompareOutcomes: TypeAlias = Callable[[Submission, Outcome, Outcome], Judgement]
"""What was submitted, the authority's outcome, the shadow's outcome: judged by the rules of their task. Pure."""


def due_time(record: SubmissionRecord) -> datetime:
    """When both sides may have started: the submission, or its eta where that is later; with a shadow, its delay after that."""
    submission, decision = record.submission, record.decision
    submitted_at, eta = as_utc(submission.submitted_at), submission.options.eta
    due = submitted_at if eta is None else max(submitted_at, as_utc(eta))
    return due if decision.shadow is None else later(due, decision.shadow_delay_s)


def judge_pair(pair: Pair, *, now: datetime, deadline_s: float, compare: CompareOutcomes) -> Comparison | None:
    """The comparison of a pair, or None while it has to wait.

    Both outcomes in time are compared at once. After the deadline (`deadline_s` from the due time) an absent outcome makes the verdict
    missing; one that came after it makes the verdict late, with the differences there are. The answer depends on what arrived when, never
    on how often the question is asked: a pair stored as missing is only ever answered with late.
    """
    authority, shadow = pair.outcomes.get(Role.AUTHORITY), pair.outcomes.get(Role.SHADOW)
    deadline = later(due_time(pair.record), deadline_s)
    absent = [role for role in Role if role not in pair.outcomes or pair.arrived_at[role] > deadline]
    if authority is None or shadow is None:
        if now <= deadline or pair.verdict is not None:
            return None
        return _comparison(pair, Judgement(Verdict.MISSING), absent, now)
    judged = compare(pair.record.submission, authority, shadow)
    # An outcome stamped just before the deadline may be committed just after somebody looked: what was called missing stays late.
    late = absent or pair.verdict is Verdict.MISSING
    return _comparison(pair, judged._replace(verdict=Verdict.LATE) if late else judged, absent, now)


def _comparison(pair: Pair, judged: Judgement, absent: list[Role], now: datetime) -> Comparison:
    authority, shadow = pair.outcomes.get(Role.AUTHORITY), pair.outcomes.get(Role.SHADOW)
    return Comparison(
        submission_id=pair.record.submission.id,
        task=pair.record.submission.task,
        verdict=judged.verdict,
        differences=judged.differences,
        missing=None if not absent else str(absent[0]) if len(absent) == 1 else "both",
        authority_ms=None if authority is None else authority.elapsed_ms,
        shadow_ms=None if shadow is None else shadow.elapsed_ms,
        skew_ms=_skew_ms(authority, shadow) if authority and shadow else None,
        ruleset_version=judged.ruleset_version,
        flag_version=pair.record.decision.flag_version,
        compared_at=now,
        control=pair.record.decision.shadow is pair.record.decision.authority,
        cohort=pair.record.decision.rule or "",
        cohort_key=pair.record.submission.cohort_key,
        node_times=judged.node_times,
        # Of whole pairs only: one that is missing first and late then would count twice.
        answers_dropped=authority.answers_dropped if authority and shadow else 0,
        calls_unknown=shadow.calls_unknown if authority and shadow else 0,
        calls_unanswered=shadow.calls_unanswered if authority and shadow else 0,
    )


def _skew_ms(authority: Outcome, shadow: Outcome) -> float:
    return (as_utc(shadow.started_at) - as_utc(authority.started_at)) / timedelta(milliseconds=1)
