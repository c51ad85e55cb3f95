"""`dualrun rollback`: back, at once."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient, Refused, fail
from gateway.cli.flag_version_command import print_changes
from gateway.cli.option import DEFAULT_URL, FormatOption, UrlOption
from gateway.cli.output import Format, print_json

__all__ = ["rollback"]


def rollback(
    task: Annotated[str | None, typer.Argument(help="Task name, or the glob of a flag.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every flag instead of one task's.")] = False,
    to_version: Annotated[int | None, typer.Option("--to", help="To what was in force at this version; left out: legacy.", min=1)] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the change.")] = "",
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Take a task back to legacy, or to an earlier version, on every gateway.

    It asks for no evidence, wins over whatever is changed meanwhile, and may be repeated. Exit code 3: nothing is known to have
    changed; repeat it. Example: dualrun rollback order.send_order_confirmation --reason "double mails"
    """
    if (task is None) is not everything:
        raise typer.BadParameter("name one task, or give --all", param_hint="TASK")
    body: dict[str, JsonValue] = {"author": getpass.getuser(), "reason": reason, "source": "cli"}
    if to_version is not None:
        body["to_version"] = to_version
    try:
        view = GatewayClient(url).call("POST", f"/v1/flags/{f'{task}/' if task else ''}rollback", body=body).json()
    except Refused as exc:
        raise fail(exc) from exc
    if format is Format.JSON:
        return print_json(view)
    if not view["changed"]:
        return typer.echo(f"nothing to change: it is so already, at version {view['version']}")
    print_changes(view["changes"])
    return typer.echo(f"rolled back: version {view['version']} in force")
