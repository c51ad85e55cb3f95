"""What a report advises of a task, in words: ready, hold because ..., not safe because ..."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.comparison import DifferenceKind, Verdict
from gateway.core.evidence import clean_runs_needed, mismatch_bound
from gateway.core.report import TaskReport
from gateway.core.triage import TriageState
from gateway.report.words import VERDICTS, counted, percent_at_most

__all__ = ["PROVEN_BELOW", "Advice", "Standing", "advice_on"]

PROVEN_BELOW = 0.01
"""A task without a mismatch is called the same once fewer than this ratio of mismatches is all that remains possible."""
_HARMFUL = (Verdict.DIFFERENT_STATE, Verdict.DIFFERENT_EFFECT, Verdict.DIFFERENT_VALUE)
_STRANGE = (Verdict.DIFFERENT_SCHEDULE, Verdict.DIFFERENT_TRACE)


class Standing(StrEnum):
    """Whether the next step may be taken, worst first."""

    NOT_SAFE = "not safe"
    HOLD = "hold"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Advice:
    """A standing and its reasons."""

    standing: Standing
    because: tuple[str, ...]

    @property
    def text(self) -> str:
        """In a sentence: `Hold because an outcome is missing in 3 submissions`."""
        head = str(self.standing).capitalize()
        return f"{head}." if not self.because else f"{head} because {'; '.join(self.because)}."


def advice_on(task: TaskReport) -> Advice:
    """Not safe where states, effects or values differ; hold where anything else is wrong, missing or not proven yet."""
    harm = tuple(_harm(task))
    if harm:
        return Advice(Standing.NOT_SAFE, harm)
    doubts = tuple(_doubts(task))
    return Advice(Standing.HOLD, doubts) if doubts else Advice(Standing.READY, (f"no difference in {_submissions(task.compared)}",))


def _harm(task: TaskReport) -> Iterator[str]:
    yield from (f"{VERDICTS[verdict]} in {_submissions(task.counts[verdict])}" for verdict in _HARMFUL if task.counts.get(verdict))
    again = sum(group.triage is TriageState.REOPENED and group.ignored_by is None for group in task.groups)
    if again:
        yield f"{counted(again)} {'difference' if again == 1 else 'differences'} called fixed came again"


def _doubts(task: TaskReport) -> Iterator[str]:
    yield from (f"{VERDICTS[verdict]} in {_submissions(task.counts[verdict])}" for verdict in _STRANGE if task.counts.get(verdict))
    late_and_different = task.counts.get(Verdict.LATE) and any(
        group.ignored_by is None and group.kind is not DifferenceKind.INCOMPLETE for group in task.groups
    )
    for verdict in (Verdict.MISSING, Verdict.LATE, Verdict.INCOMPLETE):
        if task.counts.get(verdict):
            differs = ", and some of them differ" if verdict is Verdict.LATE and late_and_different and not task.different else ""
            early = verdict is Verdict.INCOMPLETE and task.calls_unanswered
            remedy = ", and shadows ran before their authority's answers were there: give the flag a shadow_delay_s" if early else ""
            yield f"{VERDICTS[verdict]} in {_submissions(task.counts[verdict])}{differs}{remedy}"
    if not task.compared:
        yield "nothing has been compared yet"
    elif mismatch_bound(task.different, task.compared) > PROVEN_BELOW and not task.different:
        lacking = clean_runs_needed(PROVEN_BELOW) - task.compared
        proof = f"{counted(lacking)} more without a difference prove less than {percent_at_most(PROVEN_BELOW)} of mismatches"
        yield f"{_submissions(task.compared)} prove too little: {proof}"


def _submissions(n: int) -> str:
    return f"{counted(n)} submission{'' if n == 1 else 's'}"
