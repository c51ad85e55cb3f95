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


_CLOCKS_APART = timedelta(seconds=5)
"""How far the clocks of a gateway and a worker may be apart."""


def due_time(record: SubmissionRecord) -> datetime:
    """When both sides may have started: the submission, or its eta where that is later; with a shadow, its delay after that."""
    submission, decision = record.submission, record.decision
    submitted_at, eta = as_utc(submission.submitted_at), submission.options.eta
    due = submitted_at if eta is None else max(submitted_at, as_utc(eta))
    return due if decision.shadow is None else later(due, decision.shadow_delay_s)


def judge_pair(
    pair: Pair, *, now: datetime, deadline_s: float, compare: CompareOutcomes, known_until: datetime | None = None
) -> Comparison | None:
    """The comparison of a pair, or None while it has to wait.

    Both outcomes in time are compared at once. After the deadline (`deadline_s` from the due time) an absent outcome makes the verdict
    missing; one that is late makes the verdict late, with the differences there are. An outcome is in time where it arrived by then, and
    where it had ended by then and only its record waited, for a comparator or a broker that was away. The answer depends on what ended and
    arrived when, never on how often the question is asked: a pair stored as missing is answered again once its outcomes are there.

    `known_until`: the records of what ended before are here, where that is not all up to `now`; what ended since is not called missing.
    """
    authority, shadow = pair.outcomes.get(Role.AUTHORITY), pair.outcomes.get(Role.SHADOW)
    deadline = later(due_time(pair.record), deadline_s)
    absent = [role for role in Role if not _in_time(pair, role, deadline)]
    if authority is None or shadow is None:
        if (known_until or now) <= deadline or pair.verdict is not None:
            return None
        return _comparison(pair, Judgement(Verdict.MISSING), absent, now)
    judged = compare(pair.record.submission, authority, shadow)
    return _comparison(pair, judged._replace(verdict=Verdict.LATE) if absent else judged, absent, now)


def _in_time(pair: Pair, role: Role, deadline: datetime) -> bool:
    outcome = pair.outcomes.get(role)
    if outcome is None:
        return False
    if pair.arrived_at[role] <= deadline:
        return True
    # A worker's clock that is behind would call late work timely; then it began before it was submitted, and its word is not taken.
    begun, submitted = as_utc(outcome.started_at), as_utc(pair.record.submission.submitted_at)
    return as_utc(outcome.ended_at) <= deadline and begun >= submitted - _CLOCKS_APART


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
