"""The difference groups as a table for spreadsheets."""

from __future__ import annotations

import csv
import io

from gateway.core.report import ShadowReport
from gateway.report.summary import summarise

__all__ = ["render_csv"]

_COLUMNS = ("task", "aspect", "kind", "path", "count", "compared", "ignored_by", "first_seen", "last_seen", "fingerprint")


def render_csv(report: ShadowReport) -> str:
    """A line a group, the worst task and the most harmful group first (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for task in summarise(report).tasks:
        for group in (*task.groups, *task.hidden):
            cells = (group.task, group.aspect, group.kind, group.path, group.count, task.report.compared, group.ignored_by or "")
            times = (group.first_seen.isoformat(), group.last_seen.isoformat())
            writer.writerow([_harmless(str(cell)) for cell in (*cells, *times, group.fingerprint)])
    return text.getvalue()


def _harmless(cell: str) -> str:
    # A spreadsheet would run a cell that begins like this as a formula (OWASP: CSV injection).
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
