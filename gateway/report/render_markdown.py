"""The report as Markdown (GitHub's), for pull requests and chat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gateway.core.comparison import Verdict
from gateway.core.report import DifferenceGroup, ShadowReport
from gateway.report.samples import sides_of
from gateway.report.scope import Part, parts_of, scope_in_words, skew_in_words
from gateway.report.summary import TaskSummary, summarise
from gateway.report.words import CALLS_ANSWERED, DIFFERENCES, VERDICTS, counted, duration, instant, sparkline, visible

__all__ = ["render_markdown"]

GROUPS_SHOWN = 50
_ALWAYS = (Verdict.MISSING, Verdict.LATE)
"""Said of every task: that nothing was missing is an answer."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~&@:-])")


def render_markdown(report: ShadowReport) -> str:
    """Headline, a table of tasks, then each task with its most harmful differences first."""
    summary = summarise(report)
    lines = [
        "# Shadow report",
        "",
        f"**{summary.headline}**",
        "",
        f"{_text(scope_in_words(report))} As of {instant(report.generated_at)}.",
        "",
    ]
    if summary.tasks:
        rows = [(_text(t.report.task), str(t.tone), counted(t.report.compared), t.match, t.bound) for t in summary.tasks]
        lines += [*_table(("task", "verdict", "compared", "match", "proven"), rows), ""]
    for task in summary.tasks:
        lines += _task(task)
    return "\n".join(lines) + "\n"


def _task(task: TaskSummary) -> Iterator[str]:
    report = task.report
    yield from (f"## {_text(report.task)}", "", f"**{_text(task.advice.text)}**", "", f"{task.headline} {_text(task.bound)}", "")
    counts = [(VERDICTS[verdict], counted(report.counts.get(verdict, 0))) for verdict in Verdict if verdict in (*report.counts, *_ALWAYS)]
    yield from _table(("outcomes", "submissions"), [*counts, ("waiting for an outcome", counted(report.pending))])
    yield ""
    rows = [
        (role, counted(latency.count), duration(latency.p50_ms), duration(latency.p95_ms), duration(latency.p99_ms))
        for role, latency in (("authority", report.authority_latency), ("shadow", report.shadow_latency))
    ]
    yield from _table(("latency", "n", "p50", "p95", "p99"), rows)
    yield ""
    if task.answers_in_words:
        yield from (_text(task.answers_in_words), "")
    yield from _breakdown(task)
    for group in task.groups[:GROUPS_SHOWN]:
        yield from _group(group, report.compared, report.cohorts)
        if task.noise_in_words(group):
            yield from (_text(task.noise_in_words(group)), "")
    if len(task.groups) > GROUPS_SHOWN:
        yield from (f"{counted(len(task.groups) - GROUPS_SHOWN)} more difference groups are in the JSON report.", "")
    if task.hidden:
        hidden = [(_code(group.path), str(group.kind), _text(group.ignored_by or ""), counted(group.count)) for group in task.hidden]
        yield from ("### Hidden by rules", "", *_table(("path", "kind", "rule", "submissions"), hidden), "")


def _breakdown(task: TaskSummary) -> Iterator[str]:
    report = task.report
    if len(report.by_cohort) > 1:
        yield from (*_table(("cohort", "compared", "match", "proven"), map(_escaped, parts_of(report.by_cohort))), "")
    if len(report.by_flag_version) > 1:
        yield from (*_table(("flag version", "compared", "match", "proven"), map(_escaped, parts_of(report.by_flag_version))), "")
    if len(report.by_skew) > 1:
        skews = [(skew_in_words(count), counted(count.pairs), counted(count.different)) for count in report.by_skew]
        yield from (*_table(("apart at the start", "pairs", "different"), skews), "")
    if task.skew_in_words:
        yield from (_text(task.skew_in_words), "")
    if report.nodes:
        times = [
            (_code(node.path), counted(node.pairs), duration(node.authority_ms), duration(node.shadow_ms), f"{node.ratio:.2f}")
            for node in report.nodes[:10]
        ]
        yield from (*_table(("where the time goes", "pairs", "authority", "shadow", "ratio"), times), "", CALLS_ANSWERED, "")


def _group(group: DifferenceGroup, compared: int, cohorts: int) -> Iterator[str]:
    seen = f"{counted(group.count)} of {counted(compared)} submissions"
    yield from (f"### {DIFFERENCES[group.kind]}: {_code(group.path)}", "")
    of_all = f" of {counted(cohorts)}" if cohorts else ""
    who = f" ({counted(group.cohorts)}{of_all} cohort keys)" if group.cohorts else ""
    when = f"first seen {instant(group.first_seen)}, last seen {instant(group.last_seen)}"
    yield from (f"{group.aspect}, {group.kind}; {group.triage}; in {seen}{who}; {when}; group {_code(group.fingerprint)}", "")
    if any(group.trend):
        yield from (f"Last {len(group.trend)} hours: {sparkline(group.trend)}", "")
    rows = []
    for sample in group.samples:
        authority, shadow = sides_of(group.kind, sample.authority, sample.shadow)
        rows.append((_code(sample.submission_id), _code(authority), _code(shadow)))
    if rows:
        yield from (*_table(("submission", "authority", "shadow"), rows), "")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield f"|{' --- |' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", _one_line(text))


def _code(text: str) -> str:
    """A code span: the fence is longer than any run of backticks within. A pipe would end the cell of a table even here."""
    line = _one_line(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{space}{line}{space}{fence}"


def _escaped(part: Part) -> Iterator[str]:
    return map(_text, part)


def _one_line(text: str) -> str:
    return " ".join(visible(text).split())
