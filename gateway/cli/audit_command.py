"""`dualrun audit`: who changed what."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import typer

from gateway.cli.client import GatewayClient
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, show
from gateway.cli.session import on_gateway

__all__ = ["audit"]

_COLUMNS = ("at", "actor", "action", "target", "status", "address", "reason")


@on_gateway
def audit(
    gateway: GatewayClient,
    actor: Annotated[str | None, typer.Option(help="Only what this one did.", show_default=False)] = None,
    action: Annotated[str | None, typer.Option(help="Only this, such as flag.rollback.", show_default=False)] = None,
    target: Annotated[str | None, typer.Option(help="Only what is about this task, token or message.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="How many entries.", min=1, max=200)] = 20,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show who changed what, from where and why; newest first. A status from 400 on: it was refused.

    Example: dualrun audit --action flag.rollback --limit 5
    """
    asked = {"actor": actor, "action": action, "target": target, "limit": limit}
    view = gateway.read(f"/v1/audit?{urlencode({name: value for name, value in asked.items() if value is not None})}")
    show(view, format, lambda: print_table(_COLUMNS, ([entry[column] for column in _COLUMNS] for entry in view["entries"])))
