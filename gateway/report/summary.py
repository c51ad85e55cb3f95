"""What a report says of each task, verdict first: the worst task, and in it the most harmful difference, come first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from gateway.core.evidence import mismatch_bound
from gateway.core.noise import MATERIAL, FieldCounts, FieldJudgement, FieldStanding, judge_fields
from gateway.core.report import DifferenceGroup, ShadowReport, TaskReport
from gateway.core.skew import skew_matters_from
from gateway.report.scope import proven
from gateway.report.standing import PROVEN_BELOW, Advice, advice_on
from gateway.report.suggestion import suggestion_for
from gateway.report.words import VERDICTS, counted, duration, percent

__all__ = ["ReportSummary", "TaskSummary", "Tone", "summarise"]

_NEVER_NOISE = frozenset({DifferenceKind.EFFECT_MISSING, DifferenceKind.EFFECT_EXTRA})
"""One lost or repeated effect is one too many."""
_HARM = (Aspect.STATE, Aspect.EFFECTS, Aspect.ERROR, Aspect.VALUE, Aspect.SCHEDULE, Aspect.TRACE)


class Tone(StrEnum):
    """How a task stands, worst first."""

    DIFFERS = "differs"
    INCOMPLETE = "incomplete"
    """No difference, but outcomes are missing or came late, or traces are incomplete."""
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
    advice: Advice
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
    noise: Mapping[str, FieldJudgement]
    """By fingerprint, what control runs say of each group; empty where there were none."""

    def noise_in_words(self, group: DifferenceGroup) -> str:
        """What control runs say of a group: nothing where there are none."""
        judged = self.noise.get(group.fingerprint)
        if judged is None or judged.standing is FieldStanding.UNKNOWN or group.ignored_by is not None:
            return ""
        share = f"{percent(judged.control_rate)} of {counted(self.report.controls.get('', 0))} legacy-against-legacy runs"
        suggestion = suggestion_for(group, judged)
        if suggestion is not None:
            return f"Noise: differs in {share}: {suggestion}?"
        if judged.standing is FieldStanding.NOISE:
            return f"Noise: differs as often in legacy-against-legacy runs ({share})."
        if judged.standing is FieldStanding.UNPROVEN:
            return f"Unproven: seen in {share}, not clearly more often here."
        return f"No noise: seen in {share} only."

    @property
    def skew_in_words(self) -> str:
        """Whether pairs differ more the farther apart they started: nothing where they do not."""
        cut = skew_matters_from(self.report.by_skew)
        if cut is None:
            return ""
        far = [count for count in self.report.by_skew if count.bucket >= cut.bucket]
        near = [count for count in self.report.by_skew if count.bucket < cut.bucket]
        shares = (percent(sum(c.different for c in part) / sum(c.pairs for c in part)) for part in (far, near))
        return (
            "Of all time: pairs that started more than {} apart differ in {}, the others in {}: "
            "the later side may have seen another world. Start the shadow sooner before you look for a fault."
        ).format(duration(cut.at_least_ms), *shares)

    @property
    def answers_in_words(self) -> str:
        """What of the outside's answers did not reach shadows, or was never asked for, and what ran twice: nothing where all is well."""
        unknown, dropped = self.report.calls_unknown, self.report.answers_dropped
        said = [f"shadows made {counted(unknown)} call{'' if unknown == 1 else 's'} the authority never made"] if unknown else []
        said += [f"{counted(dropped)} answer{' was' if dropped == 1 else 's were'} not kept for them"] if dropped else []
        early = self.report.calls_unanswered
        said += [_too_early(early)] if early else []
        again = self.report.ran_again
        said += [f"{counted(again)} run{' was' if again == 1 else 's were'} of work that had ended before"] if again else []
        return f"Of all time: {'; '.join(said)}." if said else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSummary:
    """The whole report."""

    report: ShadowReport
    headline: str
    tone: Tone
    tasks: tuple[TaskSummary, ...]


def _too_early(calls: int) -> str:
    one = calls == 1
    text = (
        f"{counted(calls)} call{'' if one else 's'} of shadows {'was' if one else 'were'} answered in place without the authority's answer"
    )
    return f"{text}, which was not there yet: give the flag a shadow_delay_s longer than the task runs"


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
        advice=advice_on(task),
        match="-" if ratio is None else percent(ratio),
        bound=proven(task.different, task.compared),
        match_ratio=ratio,
        mismatch_bound=bound,
        groups=tuple(sorted((group for group in task.groups if group.ignored_by is None), key=_harm)),
        noise=_noise(task),
        hidden=tuple(sorted((group for group in task.groups if group.ignored_by is not None), key=_harm)),
    )


def _noise(task: TaskReport) -> Mapping[str, FieldJudgement]:
    runs = task.controls.get("", 0)
    if not runs:
        return {}
    shown = [group for group in task.groups if group.ignored_by is None]
    return judge_fields(
        {
            group.fingerprint: FieldCounts(
                pairs=max(task.compared, group.count),
                different=group.count,
                control_pairs=runs,
                control_different=task.controls.get(group.fingerprint, 0),
                material=0.0 if group.kind in _NEVER_NOISE else MATERIAL,
            )
            for group in shown
        }
    )


def _tone(task: TaskReport, bound: float) -> Tone:
    if task.different or _different_though_late(task):
        return Tone.DIFFERS
    if _absent(task) or _incomplete(task):
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
    absent, incomplete = _absent(task), _incomplete(task)
    text += f" An outcome was missing or late in {counted(absent)}." if absent else ""
    text += f" Not all could be compared in {counted(incomplete)}." if incomplete else ""
    cancelled = task.counts.get(Verdict.CANCELLED, 0)
    return text + (f" {counted(cancelled)} cancelled: not compared." if cancelled else "")


def _classes(task: TaskReport) -> str:
    worst_first = [verdict for verdict in reversed(Verdict) if verdict.is_different]
    return ", ".join(f"{VERDICTS[verdict]} in {counted(task.counts[verdict])}" for verdict in worst_first if task.counts.get(verdict))


def _absent(task: TaskReport) -> int:
    return task.counts.get(Verdict.MISSING, 0) + task.counts.get(Verdict.LATE, 0)


def _incomplete(task: TaskReport) -> int:
    return task.counts.get(Verdict.INCOMPLETE, 0)


def _different_though_late(task: TaskReport) -> bool:
    return bool(task.counts.get(Verdict.LATE)) and any(
        group.ignored_by is None and group.kind is not DifferenceKind.INCOMPLETE for group in task.groups
    )


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
