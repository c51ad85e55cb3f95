"""`dualrun flags gate|promote|hold`: what is proven, and the steps forward."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient
from gateway.cli.flag_version_command import print_changes
from gateway.cli.in_flight_command import WAIT_S, print_in_flight
from gateway.cli.option import ForceOption, FormatOption, ReasonOption, check_reason
from gateway.cli.output import Format, print_table, show
from gateway.cli.session import on_gateway

__all__ = ["gate", "hold", "promote"]

_Task = Annotated[str, typer.Argument(help="Task name.")]


@on_gateway
def gate(gateway: GatewayClient, task: _Task, format: FormatOption = Format.TABLE) -> None:
    """Show where a task stands, what is proven so far and what the next step asks for.

    Example: dualrun flags gate order.send_order_confirmation
    """
    view = gateway.read(f"/v1/flags/{task}/gate")
    show(view, format, lambda: _print_gate(view))


@on_gateway
def promote(
    gateway: GatewayClient,
    task: _Task,
    to: Annotated[str | None, typer.Option(help="A step, such as 'canary 1 %'; left out: the next one.")] = None,
    force: ForceOption = False,
    reason: ReasonOption = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Take a task one step forward, where the evidence allows it; or any step back.

    Example: dualrun flags promote order.send_order_confirmation
    """
    check_reason(force, reason)
    body: dict[str, JsonValue] = {"force": force, "author": getpass.getuser(), "reason": reason, "source": "cli"}
    if to is not None:
        body["to"] = to
    _move(gateway, f"/v1/flags/{task}/promote?wait_s={WAIT_S}", body, format)


@on_gateway
def hold(
    gateway: GatewayClient,
    task: _Task,
    release: Annotated[bool, typer.Option("--release", help="Let it go on again.")] = False,
    reason: ReasonOption = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Keep a task where it is: nobody takes it forward, the gate included. Going back stays free.

    Example: dualrun flags hold order.send_order_confirmation --reason "stock-taking"
    """
    body: dict[str, JsonValue] = {"held": not release, "author": getpass.getuser(), "reason": reason, "source": "cli"}
    _move(gateway, f"/v1/flags/{task}/hold", body, format)


def _print_gate(view: Mapping[str, Any]) -> None:
    ahead = view["next"]["name"] if view["next"] is not None else "none, this is the last"
    typer.echo(f"{view['task']}: {view['present']['name']} since version {view['since_version']} ({view['since']})")
    typer.echo(f"next step: {ahead}{' (held)' if view['held'] else ''}; soak left: {view['soak_left_s']:.0f} s")
    print_table(("check", "result", "what is known"), ([check["name"], check["result"], check["text"]] for check in view["checks"]))
    typer.echo(f"{view['action'].replace('_', ' ')}: {view['reason']}{'' if view['gated'] else ' (no gate: nobody acts on it)'}")


def _move(gateway: GatewayClient, path: str, body: dict[str, JsonValue], format: Format) -> None:
    view = gateway.call("POST", path, body=body).json()

    def told() -> None:
        print_changes(view["changes"])
        typer.echo(f"{view['step']['name']}: version {view['version']} in force")
        print_in_flight(view["in_flight"], "`dualrun flags in-flight TASK`")

    show(view, format, told)
