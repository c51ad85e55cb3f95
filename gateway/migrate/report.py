"""What a scan means for a migration: advice for each task, and the order to go in. Also as Markdown and HTML."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from gateway.migrate.advice import Advice, order_of
from gateway.migrate.finding import CallSite
from gateway.migrate.generate.advising import SIGNATURES, advise
from gateway.migrate.scan import Reading
from gateway.migrate.task_finder import TaskSource

__all__ = ["Report", "render_html", "render_markdown", "report_of"]

_CANVAS = frozenset({"chain", "group", "chord", "|"})
_MAX_GAP = 3


@dataclass(frozen=True, slots=True)
class Report:
    """Advice for every task, in the order of files, and the suggested order of migration."""

    reading: Reading
    advice: list[Advice]
    order: list[list[str]]

    @property
    def counts(self) -> Mapping[str, int]:
        """Tasks by difficulty."""
        return Counter(entry.difficulty for entry in self.advice)


def report_of(reading: Reading) -> Report:
    """The report of a project that was read."""
    advice = advise(reading)
    calls: dict[str, set[str]] = {}
    for site in reading.scan.call_sites:
        source = _enclosing(site, reading.sources)
        if source is not None and site.task is not None and site.task != source.task.name:
            calls.setdefault(source.task.name, set()).add(site.task)
    return Report(reading, advice, order_of([entry.task for entry in advice], calls, _together(reading.scan.call_sites)))


def _enclosing(site: CallSite, sources: Sequence[TaskSource]) -> TaskSource | None:
    for source in sources:
        node = source.node
        if source.task.file == site.file and isinstance(node, ast.stmt) and node.lineno <= site.line <= (node.end_lineno or node.lineno):
            return source
    return None


def _together(sites: Sequence[CallSite]) -> list[set[str]]:
    """Tasks whose signatures stand in one canvas: on its lines, and those that follow closely."""
    groups: list[set[str]] = []
    for index, site in enumerate(sites):
        if site.kind not in _CANVAS:
            continue
        members: set[str] = set()
        line = site.line
        for other in sites[index:]:
            if other.file != site.file or other.line - line > _MAX_GAP:
                break
            if other.kind in SIGNATURES and other.task is not None:
                members.add(other.task)
                line = other.line
        groups.append(members)
    return groups


def render_html(report: Report) -> str:
    """The report as one page that needs nothing else."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    return environment.get_template("report.html.j2").render(report=report, scan=report.reading.scan, tasks=_rows(report))


def _rows(report: Report) -> list[tuple[object, Advice]]:
    return list(zip(report.reading.scan.tasks, report.advice, strict=True))


def render_markdown(report: Report) -> str:
    """The report as Markdown: totals, order, one section a task."""
    scan = report.reading.scan
    lines = [
        "# Celery tasks, as the source shows them",
        "",
        _totals(report),
        "",
        "## Order of migration",
        "",
        *(f"{number}. {', '.join(f'`{name}`' for name in group)}" for number, group in enumerate(report.order, 1)),
        "",
        "## Tasks",
    ]
    for task, advice in zip(scan.tasks, report.advice, strict=True):
        lines += ["", f"### `{task.name}`{'' if task.name_certain else ' (name not certain)'}", ""]
        lines += [f"- place: {task.file}:{task.line}, made by `{task.decorator}`"]
        lines += [f"- parameters: {', '.join(parameter.name for parameter in task.parameters) or 'none'}"]
        lines += [f"- options: {', '.join(f'{name}={value}' for name, value in task.options.items()) or 'none'}"]
        lines += [f"- returns a value: {'yes' if task.returns_value else 'no'}"]
        lines += [f"- touches: {', '.join(f'{touch.kind} (line {touch.line})' for touch in advice.touches) or 'nothing the source shows'}"]
        lines += [f"- safety: {advice.safety}: {advice.safety_reason}"]
        lines += [f"- callers: {', '.join(f'{site.file}:{site.line} {site.kind}' for site in advice.callers) or 'none found'}"]
        lines += [f"- schedule: {entry.when} ({entry.file}:{entry.line})" for entry in advice.schedules]
        lines += ["- part of a canvas"] if advice.canvas else []
        lines += [f"- {advice.difficulty}"]
        lines += [f"  - line {reason.line}{', blocks' if reason.blocks else ''}: {reason.text}" for reason in advice.reasons]
        lines += [f"  - {note}" for note in advice.notes]
    if scan.routes:
        lines += ["", "## Routes", "", *(f"- {route.file}:{route.line}: {route.task or 'code'} to {route.route}" for route in scan.routes)]
    if scan.unparsed:
        lines += ["", "## Files that were not read", "", *(f"- {entry.file}: {entry.reason}" for entry in scan.unparsed)]
    return "\n".join(lines) + "\n"


def _totals(report: Report) -> str:
    totals = report.reading.scan.totals
    found = f"{totals.tasks} tasks, {totals.call_sites} call sites, {totals.schedules} schedules, {totals.routes} routes"
    difficulty = ", ".join(f"{report.counts[kind]} {kind}" for kind in ("ready", "needs decisions", "blocked"))
    return f"{found} in {totals.files} files ({totals.lines} lines). {difficulty}."
