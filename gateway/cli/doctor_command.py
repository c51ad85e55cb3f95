"""`dualrun doctor`: is everything there, can a task be moved, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.client import GatewayClient
from gateway.cli.exit_code import ExitCode
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, show
from gateway.cli.session import on_gateway

__all__ = ["doctor"]

_SKEW_S = 5.0
_COLUMNS = ("what", "level", "seen", "do")


@on_gateway
def doctor(
    gateway: GatewayClient,
    task: Annotated[str | None, typer.Argument(help="Task name; left out: the installation.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say whether everything is there, or from observed traffic whether a task can be moved. Exit code 1 where something blocks it.

    Without a task: broker, Redis, ledger, queue arguments, clocks, workers and versions, as the gateway sees them.

    Example: dualrun doctor

    Example: dualrun doctor order.send_order_confirmation
    """
    if task is None:
        view = _examined(gateway)
        show(view, format, lambda: _print_installation(gateway.url, view))
    else:
        view = gateway.read(f"/v1/doctor/{quote(task, safe='')}")
        show(view, format, lambda: _print_task(task, view))
    if not view["ready"]:
        raise typer.Exit(ExitCode.NO)


def _examined(gateway: GatewayClient) -> dict[str, Any]:
    """What the gateway says, and how this machine fits to it."""
    view: dict[str, Any] = gateway.read("/v1/doctor")
    here, there = version("dualrun-gateway"), view["versions"]["dualrun"]
    command = {"what": "this command", "level": "fine", "seen": f"version {here}, as the gateway"}
    if here != there:
        command |= {"level": "watch", "seen": f"version {here}, the gateway has {there}", "do": "install the gateway's"}
    ahead_s = (datetime.now(UTC) - datetime.fromisoformat(view["at"])).total_seconds()
    clock = {"what": "clock of this machine", "level": "fine", "seen": "as the gateway's"}
    if abs(ahead_s) > _SKEW_S:
        seen = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the gateway's"
        clock |= {"level": "watch", "seen": seen, "do": "times given to --since and --until are this machine's"}
    return {**view, "findings": [command, clock, *view["findings"]]}


def _print_installation(url: str, view: Mapping[str, Any]) -> None:
    typer.echo(f"{url}: {'ready' if view['ready'] else 'blocked'}")
    typer.echo(f"{', '.join(f'{name} {said}' for name, said in view['versions'].items())}\n")
    _print_findings(view)


def _print_task(task: str, view: Mapping[str, Any]) -> None:
    typer.echo(f"{task}: {'ready' if view['ready'] else 'blocked'}; seen in {view['observed']} submissions")
    typer.echo(f"safety class that fits: {view['safety']} ({view['safety_because']})\n")
    _print_findings(view)


def _print_findings(view: Mapping[str, Any]) -> None:
    print_table(_COLUMNS, ([finding.get(column, "") for column in _COLUMNS] for finding in view["findings"]))
