"""`dualrun queues`: what waits, and who takes it."""

from __future__ import annotations

import typer

from gateway.cli.client import GatewayClient
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, show
from gateway.cli.session import on_gateway

__all__ = ["queues"]

_COLUMNS = ("queue", "of", "waiting", "consumers", "")


@on_gateway
def queues(gateway: GatewayClient, format: FormatOption = Format.TABLE) -> None:
    """Show the queues: what waits in them, and who takes it. Stuck ones come first.

    Example: dualrun queues
    """
    view = gateway.read("/v1/queues")
    rows = [
        (
            queue["name"],
            queue["use"],
            "not there" if queue["ready"] is None else queue["ready"],
            "" if queue["consumers"] is None else queue["consumers"],
            "nobody takes it" if queue["stuck"] else "",
        )
        for queue in sorted(view["queues"], key=lambda queue: not queue["stuck"])
    ]
    show(view, format, lambda: print_table(_COLUMNS, rows) if rows else typer.echo("none"))
