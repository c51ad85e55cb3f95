"""What a report says of each task, verdict first: the worst task, and in it the most harmful difference, come first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.comparison import Aspect, Verdict
from gateway.core.evidence import mismatch_bound
from gateway.core.report import DifferenceGroup, ShadowReport, TaskReport
from gateway.report.words import VERDICTS, counted, percent, percent_at_most

__all__ = ["ReportSummary", "TaskSummary", "Tone", "summarise"]

PROVEN_BELOW = 0.01
"""A task without a mismatch is called the same once fewer than this ratio of mismatches is all that remains possible."""

_HARM = (Aspect.STATE, Aspect.EFFECTS, Aspect.ERROR, Aspect.VALUE)


class Tone(StrEnum):
    """How a task stands, worst first."""

    DIFFERS = "differs"
    INCOMPLETE = "incomplete"
    """No difference, but outcomes are missing or came late."""
    UNPROVEN = "unproven"
    """No difference, and too few comparisons to say much."""
    NO_DATA = "no data"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSummary:
    """One task."""

    report: TaskReport
    tone: Tone
    headline: str
    match: str
    """The observed share of same outcomes; a dash without data."""
    bound: str
    """What is proven, with its n: `mismatch <= 1.03 % (n = 1,000)`."""
    match_ratio: float | None
    mismatch_bound: float
    groups: tuple[DifferenceGroup, ...]
    """Differences no rule hides, the most harmful first."""
    hidden: tuple[DifferenceGroup, ...]
    """Differences that rules hide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSummary:
    """The whole report."""

    report: ShadowReport
    headline: str
    tone: Tone
    tasks: tuple[TaskSummary, ...]


def summarise(report: ShadowReport) -> ReportSummary:
    """The report in words, worst task first."""
    order = list(Tone)
    tasks = sorted(
        map(_summarise_task, report.tasks),
        key=lambda task: (order.index(task.tone), -(1.0 - (1.0 if task.match_ratio is None else task.match_ratio)), task.report.task),
    )
    return ReportSummary(
        report=report,
        headline=_overall(tasks),
        tone=tasks[0].tone if tasks else Tone.NO_DATA,
        tasks=tuple(tasks),
    )


def _summarise_task(task: TaskReport) -> TaskSummary:
    bound = mismatch_bound(task.different, task.compared)
    ratio = task.same / task.compared if task.compared else None
    tone = _tone(task, bound)
    return TaskSummary(
        report=task,
        tone=tone,
        headline=_headline(task, tone),
        match="-" if ratio is None else percent(ratio),
        bound="nothing compared" if ratio is None else f"mismatch <= {percent_at_most(bound)} (n = {counted(task.compared)})",
        match_ratio=ratio,
        mismatch_bound=bound,
        groups=tuple(sorted((group for group in task.groups if group.ignored_by is None), key=_harm)),
        hidden=tuple(sorted((group for group in task.groups if group.ignored_by is not None), key=_harm)),
    )


def _tone(task: TaskReport, bound: float) -> Tone:
    if task.different or _different_though_late(task):
        return Tone.DIFFERS
    if _absent(task):
        return Tone.INCOMPLETE
    if not task.compared:
        return Tone.NO_DATA
    return Tone.SAME if bound <= PROVEN_BELOW else Tone.UNPROVEN


def _headline(task: TaskReport, tone: Tone) -> str:
    compared = f"{counted(task.compared)} compared submission{'' if task.compared == 1 else 's'}"
    match tone:
        case Tone.DIFFERS if not task.different:
            text = "Differs in submissions whose outcome came too late."
        case Tone.DIFFERS:
            share = percent(task.different / task.compared)
            text = f"Differs in {counted(task.different)} of {compared} ({share}): {_classes(task)}."
        case Tone.INCOMPLETE if not task.compared:
            text = "Nothing could be compared."
        case Tone.NO_DATA:
            return "No data: nothing has been compared yet." if not task.pending else "No data yet: every pair still waits for an outcome."
        case Tone.UNPROVEN:
            return f"No difference in {compared}: too few to call it the same."
        case _:
            text = f"The same in all {compared}."
    absent = _absent(task)
    return text + (f" An outcome was missing or late in {counted(absent)}." if absent else "")


def _classes(task: TaskReport) -> str:
    worst_first = (Verdict.DIFFERENT_STATE, Verdict.DIFFERENT_EFFECT, Verdict.DIFFERENT_VALUE)
    return ", ".join(f"{VERDICTS[verdict]} in {counted(task.counts[verdict])}" for verdict in worst_first if task.counts.get(verdict))


def _absent(task: TaskReport) -> int:
    return task.counts.get(Verdict.MISSING, 0) + task.counts.get(Verdict.LATE, 0)


def _different_though_late(task: TaskReport) -> bool:
    return any(group.ignored_by is None for group in task.groups)


def _overall(tasks: list[TaskSummary]) -> str:
    if not tasks:
        return "No data: no task has run with a shadow in this time."
    phrases = {
        Tone.DIFFERS: "differ",
        Tone.INCOMPLETE: "lack outcomes",
        Tone.UNPROVEN: "have too few comparisons",
        Tone.NO_DATA: "have no data",
        Tone.SAME: "are the same",
    }
    numbers = {tone: sum(task.tone is tone for task in tasks) for tone in Tone}
    said = ", ".join(f"{n} {_singular(phrases[tone]) if n == 1 else phrases[tone]}" for tone, n in numbers.items() if n)
    return f"Of {len(tasks)} task{'' if len(tasks) == 1 else 's'}: {said}."


def _singular(phrase: str) -> str:
    verb, _, rest = phrase.partition(" ")
    return " ".join(filter(None, ({"have": "has", "are": "is"}.get(verb, f"{verb}s"), rest)))


def _harm(group: DifferenceGroup) -> tuple[int, int, str]:
    return _HARM.index(group.aspect), -group.count, group.path
