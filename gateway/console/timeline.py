"""One submission's life in order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dualrun.contracts import Outcome
from gateway.core.report import SubmissionView
from gateway.report.words import VERDICTS, duration

__all__ = ["Moment", "timeline"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, and when."""

    at: datetime
    text: str


def timeline(view: SubmissionView) -> tuple[Moment, ...]:
    """Submitted, due, started, ended, compared: what is known, in order of time."""
    submission, decision = view.submission, view.decision
    observed = f", {decision.shadow} observed" if decision.shadow is not None else ""
    moments = [Moment(submission.submitted_at, f"submitted; {decision.authority} answers{observed}")]
    if submission.options.eta is not None:
        moments.append(Moment(submission.options.eta, "due (eta)"))
    for outcome in (view.authority, view.shadow):
        if outcome is not None:
            moments += _run(outcome)
    if view.comparison is not None:
        moments.append(Moment(view.comparison.compared_at, f"compared: {VERDICTS[view.comparison.verdict]}"))
    return tuple(sorted(moments, key=lambda moment: moment.at))


def _run(outcome: Outcome) -> list[Moment]:
    attempts = f" at attempt {outcome.attempts}" if outcome.attempts > 1 else ""
    return [
        Moment(outcome.started_at, f"{outcome.role} ({outcome.side}) started on {outcome.worker}"),
        Moment(outcome.ended_at, f"{outcome.role} ({outcome.side}) {outcome.state}{attempts} after {duration(outcome.elapsed_ms)}"),
    ]
