"""The task of the rollback benchmark: what ran where and when, one line a run, in a file all processes append to."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DIRECTORY_VARIABLE", "TASK", "Runs", "false_counts", "note", "runs_in"]

TASK = "bench.rollback"
DIRECTORY_VARIABLE = "BENCH_ROLLBACK_DIR"


def note(what: str, number: int) -> None:
    """`legacy`, `start` or `end` (of a run on the events side). A line is written whole, whoever writes beside it."""
    with Path(os.environ[DIRECTORY_VARIABLE], "runs").open("a", encoding="utf-8") as file:
        file.write(f"{what} {number} {time.time():.6f}\n")


@dataclass(frozen=True, slots=True)
class Runs:
    """Of some submissions: how often each ran on legacy, and when each run on events began and ended (Unix seconds)."""

    legacy: Counter[int]
    started_at: Mapping[int, Sequence[float]]
    ended_at: Mapping[int, float]

    @property
    def total(self) -> int:
        return sum(self.legacy.values()) + sum(map(len, self.started_at.values()))

    def last_start_after(self, moment: float) -> float:
        """Seconds from the moment until the last run began on events; 0 where none did afterwards."""
        return max([0.0, *(at - moment for starts in self.started_at.values() for at in starts)])


def runs_in(directory: Path, first: int, count: int) -> Runs:
    """What ran of the submissions numbered so."""
    legacy: Counter[int] = Counter()
    started: dict[int, list[float]] = {}
    ended: dict[int, float] = {}
    path = directory / "runs"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        what, number, at = line.split()
        if not first <= int(number) < first + count:
            continue
        if what == "legacy":
            legacy[int(number)] += 1
        elif what == "start":
            started.setdefault(int(number), []).append(float(at))
        else:
            ended[int(number)] = float(at)
    return Runs(legacy, started, ended)


def false_counts(runs: Runs, count: int, told: Mapping[str, int], *, called_at: float, heard_at: float) -> list[str]:
    """What is wrong: with the runs, or with what a rollback told of them. Empty where all is true.

    Between the call and its being heard a run may begin or end: `started` is true where it lies between those at work all that time and
    those at work at some moment of it.
    """
    ran_once = {*runs.legacy, *runs.started_at}
    all_along = sum(1 for number, at in runs.started_at.items() if at[0] < called_at and runs.ended_at.get(number, heard_at) >= heard_at)
    at_all = sum(1 for number, at in runs.started_at.items() if at[0] < heard_at and runs.ended_at.get(number, heard_at) >= called_at)
    wrong = {
        f"{runs.total} runs of {len(ran_once)} submissions, not {count} of {count}": (runs.total, len(ran_once)) != (count, count),
        f"{told['redirected']} told as redirected, {len(runs.legacy)} ran on legacy": told["redirected"] != len(runs.legacy),
        f"{told['started']} told as started, {all_along} to {at_all} were": not all_along <= told["started"] <= at_all,
        f"told as something else: {told}": bool(told["scheduled"] or told["kept"] or told["waiting"] or not told["complete"]),
    }
    return [text for text, is_wrong in wrong.items() if is_wrong]
