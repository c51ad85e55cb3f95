"""`dualrun report`: what the shadows showed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.client import GatewayClient, Refused, fail
from gateway.cli.option import DEFAULT_URL, UrlOption

__all__ = ["report"]


class ReportFormat(StrEnum):
    """How the report is written."""

    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"


def report(
    task: Annotated[str | None, typer.Argument(help="One task; every shadowed task where left out.")] = None,
    since: Annotated[str | None, typer.Option(help="From this instant on (RFC 3339).")] = None,
    until: Annotated[str | None, typer.Option(help="Up to this instant (RFC 3339).")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file instead of the terminal.")] = None,
    url: UrlOption = DEFAULT_URL,
    format: Annotated[
        ReportFormat, typer.Option("--format", help="markdown, json, or one self-contained html page.")
    ] = ReportFormat.MARKDOWN,
) -> None:
    """Show the shadow report: verdicts, match rate with its bound, latency of both sides, difference groups.

    Example: dualrun report order.send_order_confirmation --format html -o report.html
    """
    query = "&".join(f"{name}={value}" for name, value in (("since", since), ("until", until), ("format", format.value)) if value)
    try:
        text = GatewayClient(url).call("GET", f"/v1/reports/shadow{f'/{task}' if task else ''}?{query}").text
    except Refused as exc:
        raise fail(exc) from exc
    if output is None:
        return typer.echo(text)
    output.write_text(text, encoding="utf-8")
    return typer.echo(f"written to {output}")
