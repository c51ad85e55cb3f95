"""`dualrun breakers`: what handlers do not call for now, because it keeps failing."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli.client import GatewayClient
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, show
from gateway.cli.session import on_gateway

__all__ = ["breakers"]

_COLUMNS = ("service", "name", "state", "failures", "opens_at", "open_s", "opened_at")
_NONE = "none: no event worker asked for a circuit within a day"


@on_gateway
def breakers(
    gateway: GatewayClient,
    service: Annotated[str | None, typer.Option(help="Those of one service.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the circuit breakers that event workers asked for within a day.

    Example: dualrun breakers --service shop
    """
    view = gateway.read("/v1/breakers" + (f"?service={quote(service)}" if service else ""))
    rows = [
        (
            breaker["service"],
            breaker["name"],
            breaker["state"].replace("_", " "),
            breaker["failures"],
            breaker["failures_max"],
            "" if breaker["open_s"] is None else round(breaker["open_s"], 1),
            breaker["opened_at"] or "",
        )
        for breaker in view["breakers"]
    ]
    show(view, format, lambda: print_table(_COLUMNS, rows) if rows else typer.echo(_NONE))
