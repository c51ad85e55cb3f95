"""One submission's life in order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from dualrun.contracts import Outcome
from gateway.core.audit import AuditEntry
from gateway.core.moment import as_utc
from gateway.core.report import SubmissionView
from gateway.report.words import VERDICTS, duration

__all__ = ["Moment", "is_close", "timeline"]

_CLOSE = timedelta(seconds=1)
_SAME = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, and when; None where that is not on record, and only its place in the order is known."""

    at: datetime | None
    text: str


def timeline(view: SubmissionView, cancels: Sequence[AuditEntry] = ()) -> tuple[Moment, ...]:
    """Submitted, due, moved, started, retried, ended, cancelled, compared: what is known, in order of time.

    `cancels` are those of the audit log that were asked for this submission.
    """
    submission, decision = view.submission, view.decision
    observed = f", {decision.shadow} observed" if decision.shadow is not None else ""
    decided = f"{decision.authority} answers{observed}" if view.redirected is None else f"{view.redirected.side} was to answer"
    submitted = Moment(submission.submitted_at, f"submitted; {decided}")
    moments: list[tuple[datetime, Moment]] = []
    if submission.options.eta is not None:
        moments.append((submission.options.eta, Moment(submission.options.eta, "due (eta)")))
    for outcome in (view.authority, view.shadow):
        if outcome is not None:
            moments += [(moment.at, moment) for moment in _run(outcome) if moment.at is not None]
    moments += [(entry.at, Moment(entry.at, _cancel(entry))) for entry in cancels]
    if view.comparison is not None:
        compared = f"compared: {VERDICTS[view.comparison.verdict]}"
        moments.append((view.comparison.compared_at, Moment(view.comparison.compared_at, compared)))
    moved = [] if view.redirected is None else [Moment(None, _move(view))]
    return (submitted, *moved, *(moment for _, moment in sorted(moments, key=lambda one: as_utc(one[0]))))


def is_close(moments: Sequence[Moment]) -> bool:
    """Whether seconds do not tell some of them apart."""
    known = sorted(as_utc(moment.at) for moment in moments if moment.at is not None)
    return any(later - earlier < _CLOSE for earlier, later in pairwise(known))


def _move(view: SubmissionView) -> str:
    moved = view.redirected
    assert moved is not None
    often = "" if moved.times == 1 else f", for the {moved.times}. time"
    versions = f"flags version {moved.decided_under} had sent it there, version {view.decision.flag_version} did not"
    return f"moved from {moved.side} to {view.decision.authority} before it started{often}: {versions}"


def _cancel(entry: AuditEntry) -> str:
    return f"cancel asked for by {entry.actor}" + ("" if entry.status < 400 else f", and refused ({entry.status})")


def _run(outcome: Outcome) -> list[Moment]:
    who = f"{outcome.role} ({outcome.side})"
    moments = [Moment(outcome.started_at, f"{who} started on {outcome.worker}")]
    attempts = ""
    if outcome.attempts > 1:
        waits = ", ".join(duration(delay_s * 1000) for delay_s in outcome.retry_delays_s)
        attempts = f" at attempt {outcome.attempts}" + (f" (retried after {waits})" if waits else "")
        last = outcome.ended_at - timedelta(milliseconds=outcome.elapsed_ms)
        # Some workers say when the first attempt began, and some when the last did.
        if as_utc(last) - as_utc(outcome.started_at) > _SAME:
            moments.append(Moment(last, f"{who} attempt {outcome.attempts} started"))
    state = str(outcome.state).replace("_", " ")
    return [*moments, Moment(outcome.ended_at, f"{who} {state}{attempts} after {duration(outcome.elapsed_ms)}")]
