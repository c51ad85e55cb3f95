"""What the rollback benchmark calls true: counts that agree with what ran where."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rollback_runs import DIRECTORY_VARIABLE, false_counts, note, runs_in

TOLD = {"redirected": 3, "started": 1, "scheduled": 0, "kept": 0, "waiting": 0, "complete": True}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where four submissions ran: one on events, at work when the rollback was called, and three on legacy."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    for what, number in (("start", 0), ("legacy", 1), ("legacy", 2), ("legacy", 3), ("legacy", 99)):
        note(what, number)
    return tmp_path


def wrong(directory: Path, count: int = 4, **told: int) -> list[str]:
    runs = runs_in(directory, 0, 4)
    return false_counts(runs, count, {**TOLD, **told}, called_at=runs.started_at[0][0] + 0.1, heard_at=runs.started_at[0][0] + 0.2)


def test_counts_that_agree_with_what_ran_are_true(directory: Path) -> None:
    assert wrong(directory) == []


@pytest.mark.parametrize("told", [{"redirected": 2}, {"started": 0}, {"started": 2}, {"kept": 1}, {"complete": False}], ids=str)
def test_counts_that_disagree_with_what_ran_are_not(directory: Path, told: dict[str, int]) -> None:
    assert len(wrong(directory, **told)) == 1


def test_a_run_that_was_lost_or_repeated_is_found(directory: Path) -> None:
    assert wrong(directory, count=5) == ["4 runs of 4 submissions, not 5 of 5"]
    note("legacy", 3)
    assert wrong(directory) == ["5 runs of 4 submissions, not 4 of 4"]
