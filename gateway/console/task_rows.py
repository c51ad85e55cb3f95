"""What the first page says of each task, trouble first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dualrun.contracts import Mode, Side
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.routing import PLANS
from gateway.report.summary import ReportSummary, TaskSummary, Tone

__all__ = ["Standing", "TaskRow", "matching", "row_of", "task_rows"]


class Standing(StrEnum):
    """How a task stands, worst first."""

    NO_WORKER = "no worker"
    """Submissions are accepted and nobody runs them."""
    DIFFERS = "differs"
    INCOMPLETE = "incomplete"
    UNPROVEN = "unproven"
    NO_DATA = "no data"
    SAME = "same"
    QUIET = "not observed"


_TONES: Mapping[Tone, Standing] = {
    Tone.DIFFERS: Standing.DIFFERS,
    Tone.INCOMPLETE: Standing.INCOMPLETE,
    Tone.UNPROVEN: Standing.UNPROVEN,
    Tone.NO_DATA: Standing.NO_DATA,
    Tone.SAME: Standing.SAME,
}
_ORDER = {standing: place for place, standing in enumerate(Standing)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task."""

    task: str
    flag: Flag
    """The flag in force; one that says legacy where none names the task."""
    flagged: bool
    standing: Standing
    workers: Mapping[Side, int]
    """Alive now, per side."""
    summary: TaskSummary | None
    """What the shadow showed; None where nothing was ever observed."""

    @property
    def exposed_share(self) -> int:
        """How many of a hundred thousand submissions the event handler answers for."""
        match self.flag.mode:
            case Mode.EVENTS | Mode.MIRROR:
                return 100_000
            case Mode.CANARY:
                return self.flag.events_share
            case _:
                return 0

    @property
    def observed_share(self) -> int:
        """How many of a hundred thousand also run as a shadow."""
        return self.flag.shadow_share if self.flag.shadows else 0


def row_of(task: str, *, snapshot: FlagSnapshot, workers: Mapping[Side, int], summary: TaskSummary | None) -> TaskRow:
    """One task's row."""
    named = snapshot.flag_for(task)
    flag = named or Flag(task=task)
    if any(not workers.get(side) for side in _authorities(flag)):
        standing = Standing.NO_WORKER
    else:
        standing = Standing.QUIET if summary is None else _TONES[summary.tone]
    return TaskRow(task=task, flag=flag, flagged=named is not None, standing=standing, workers=workers, summary=summary)


def task_rows(
    names: Collection[str], snapshot: FlagSnapshot, summary: ReportSummary, workers: Mapping[str, Mapping[Side, int]]
) -> tuple[TaskRow, ...]:
    """Every task that is served, flagged by its own name or observed; the one that needs a person first comes first."""
    observed = {task.report.task: task for task in summary.tasks}
    own = {name for name, flag in snapshot.flags.items() if not flag.is_glob}
    rows = (
        row_of(name, snapshot=snapshot, workers=workers.get(name, {}), summary=observed.get(name)) for name in {*names, *own, *observed}
    )
    return tuple(sorted(rows, key=lambda row: (_ORDER[row.standing], row.task)))


def matching(rows: Iterable[TaskRow], text: str, standing: str) -> tuple[TaskRow, ...]:
    """The rows whose task holds the text and that stand so; an empty word asks for nothing."""
    return tuple(row for row in rows if text.lower() in row.task.lower() and standing in ("", row.standing))


def _authorities(flag: Flag) -> frozenset[Side]:
    """The sides that may have to answer, as the flag stands."""
    among = {Mode.CANARY: (False, True) if flag.events_share else (False,)}.get(flag.mode, (False,))
    return frozenset(PLANS[flag.mode, moved].authority for moved in among)
