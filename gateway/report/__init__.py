"""The shadow report for people and programs: HTML, Markdown, JSON and CSV. Pure: a report in, text out."""

from __future__ import annotations

from gateway.report.render_csv import render_csv
from gateway.report.render_html import render_html
from gateway.report.render_json import render_json
from gateway.report.render_junit import render_junit
from gateway.report.render_markdown import render_markdown

__all__ = ["render_csv", "render_html", "render_json", "render_junit", "render_markdown"]
