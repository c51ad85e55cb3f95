"""`dualrun flags in-flight`: what became of messages that waited while a flag changed; and how commands say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gateway.cli.client import GatewayClient
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, show
from gateway.cli.session import on_gateway

__all__ = ["WAIT_S", "in_flight", "print_in_flight"]

WAIT_S = 1.0
"""How long a command that changes a flag waits for the counts to be complete."""
_COUNTS = {
    "redirected": "redirected",
    "scheduled": "scheduled",
    "started": "already started",
    "kept": "kept",
    "waiting": "not looked at yet",
}
_ALWAYS = frozenset({"redirected", "scheduled", "started"})


@on_gateway
def in_flight(
    gateway: GatewayClient,
    task: Annotated[str, typer.Argument(help="Task name, or the glob of a flag.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what became of messages that waited when the task was last moved.

    Example: dualrun flags in-flight order.send_order_confirmation
    """
    view = gateway.read(f"/v1/flags/{task}/in-flight?wait_s={WAIT_S}")
    show(view, format, lambda: _tell(view))


def _tell(view: Mapping[str, Any]) -> None:
    if view["version"] is None:
        return typer.echo("no flag change has moved it")
    typer.echo(f"moved by version {view['version']}")
    return print_in_flight(view["in_flight"], "repeat the command")


def print_in_flight(counts: Mapping[str, int] | None, again: str) -> None:
    """A line; none where a change moved nothing. `again` is how to look again."""
    if counts is None:
        return None
    said = ", ".join(f"{counts[name]} {text}" for name, text in _COUNTS.items() if counts[name] or name in _ALWAYS)
    return typer.echo(f"in flight: {said}" if counts["complete"] else f"in flight so far: {said}; {again} to look again")
