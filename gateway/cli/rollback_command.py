"""`dualrun rollback`: back, at once."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient
from gateway.cli.flag_version_command import print_changes
from gateway.cli.in_flight_command import print_in_flight
from gateway.cli.option import FormatOption, ReasonOption
from gateway.cli.output import Format, show
from gateway.cli.session import on_gateway

__all__ = ["rollback"]


@on_gateway
def rollback(
    gateway: GatewayClient,
    task: Annotated[str | None, typer.Argument(help="Task name, or the glob of a flag.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every flag instead of one task's.")] = False,
    to_version: Annotated[int | None, typer.Option("--to", help="To what was in force at this version; left out: legacy.", min=1)] = None,
    reason: ReasonOption = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Take a task back to legacy, or to an earlier version, on every gateway.

    It asks for no evidence, wins over whatever is changed meanwhile, and may be repeated. Exit code 3: nothing is known to have
    changed; repeat it.

    Example: dualrun rollback order.send_order_confirmation --reason "double mails"
    """
    if (task is None) is not everything:
        raise typer.BadParameter("name one task, or give --all", param_hint="TASK")
    body: dict[str, JsonValue] = {"author": getpass.getuser(), "reason": reason, "source": "cli"}
    if to_version is not None:
        body["to_version"] = to_version
    view = gateway.call("POST", f"/v1/flags/{f'{task}/' if task else ''}rollback", body=body).json()
    show(view, format, lambda: _tell(view))


def _tell(view: Mapping[str, Any]) -> None:
    if view["changed"]:
        print_changes(view["changes"])
        away = "" if view["stored"] else "; the flag store is away, and gets it when it is back"
        typer.echo(f"rolled back: version {view['version']} in force{away}")
    else:
        typer.echo(f"nothing to change: it is so already, at version {view['version']}")
    print_in_flight(view["in_flight"], "repeat the command")
