"""The report as one HTML page that needs nothing else: no script, no font, no picture, no request."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from gateway.core.comparison import Verdict
from gateway.core.report import ShadowReport
from gateway.report.samples import NOTHING, sides_of
from gateway.report.scope import parts_of, scope_in_words, skew_in_words
from gateway.report.summary import summarise
from gateway.report.words import CALLS_ANSWERED, DIFFERENCES, VERDICTS, counted, duration, instant, percent, sparkline, visible

__all__ = ["render_html"]

GROUPS_SHOWN = 100


def render_html(report: ShadowReport) -> str:
    """The whole page; every text in it is escaped."""
    return _template().render(summary=summarise(report), report=report, scope=scope_in_words(report))


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(counted=counted, duration=duration, instant=instant, percent=percent, sparkline=sparkline, visible=visible)
    environment.filters["skew"] = skew_in_words
    environment.globals.update(verdicts=list(Verdict), says=DIFFERENCES, words=VERDICTS, groups_shown=GROUPS_SHOWN)
    environment.globals.update(sides_of=sides_of, parts_of=parts_of, nothing=NOTHING, calls_answered=CALLS_ANSWERED)
    return environment.get_template("report.html.j2")
