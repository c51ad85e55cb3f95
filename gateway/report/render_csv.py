"""The difference groups as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
import re

from gateway.core.report import DifferenceGroup, Sample, ShadowReport
from gateway.report.samples import sides_of
from gateway.report.summary import summarise

__all__ = ["render_csv"]

_COLUMNS = (
    "task",
    "aspect",
    "kind",
    "path",
    "count",
    "compared",
    "ignored_by",
    "first_seen",
    "last_seen",
    "fingerprint",
    "triage",
    "cohorts",
    "task_cohorts",
    "trend",
    "noise",
    "submission_id",
    "authority",
    "shadow",
)


_INDENTED = re.compile(r"\n\s*")


def render_csv(report: ShadowReport) -> str:
    """A line a group with its first sample, the worst task and the most harmful group first (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for task in summarise(report).tasks:
        for group in (*task.groups, *task.hidden):
            sample = group.samples[0] if group.samples else None
            sides = ("", "") if sample is None else _on_one_line(group, sample)
            trend, noise = " ".join(map(str, group.trend)), task.noise_in_words(group)
            seen = (group.cohorts, task.report.cohorts, trend, noise, "" if sample is None else sample.submission_id, *sides)
            cells = (group.task, group.aspect, group.kind, group.path, group.count, task.report.compared, group.ignored_by or "")
            times = (group.first_seen.isoformat(), group.last_seen.isoformat())
            writer.writerow([_harmless(str(cell)) for cell in (*cells, *times, group.fingerprint, group.triage, *seen)])
    return text.getvalue()


def _on_one_line(group: DifferenceGroup, sample: Sample) -> tuple[str, str]:
    authority, shadow = sides_of(group.kind, sample.authority, sample.shadow)
    return _INDENTED.sub(" ", authority), _INDENTED.sub(" ", shadow)


def _harmless(cell: str) -> str:
    # A spreadsheet would run a cell that begins like this as a formula (OWASP: CSV injection).
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
