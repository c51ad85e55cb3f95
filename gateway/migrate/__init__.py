"""Reading a Celery code base from its source alone: what `dualrun migrate` knows before a person decides anything."""

from gateway.migrate.finding import CallSite, FoundParameter, FoundTask, Route, Scan, Schedule, Totals, Touch, Unparsed
from gateway.migrate.report import render_html, render_markdown, report_of
from gateway.migrate.scan import Reading, read_path, scan_path, scan_sources
from gateway.migrate.source import Source

__all__ = [
    "CallSite",
    "FoundParameter",
    "FoundTask",
    "Reading",
    "Route",
    "Scan",
    "Schedule",
    "Source",
    "Totals",
    "Touch",
    "Unparsed",
    "read_path",
    "render_html",
    "render_markdown",
    "report_of",
    "scan_path",
    "scan_sources",
]
