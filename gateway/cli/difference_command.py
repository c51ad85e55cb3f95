"""`dualrun differences`: difference groups one by one."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from gateway.cli.client import GatewayClient
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_members, print_table, show
from gateway.cli.session import on_gateway

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Groups of differences: look, and say which are known or fixed.")
_MEMBERS = ("fingerprint", "task", "kind", "path", "count", "triage")
_COLUMNS = ("fingerprint", "task", "what", "where", "count", "triage")
_Fingerprint = Annotated[str, typer.Argument(help="The group's fingerprint, as the report shows it.")]


class State(StrEnum):
    """What may be said of a group."""

    OPEN = "open"
    KNOWN = "known"
    FIXED = "fixed"


@app.command("list")
@on_gateway
def list_differences(
    gateway: GatewayClient,
    task: Annotated[str | None, typer.Argument(help="One task; every task where left out.")] = None,
    triage: Annotated[str | None, typer.Option(help="Only groups in this state: open, known, fixed or reopened.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the groups no rule hides.

    Example: dualrun differences list --triage reopened
    """
    query = urlencode({name: value for name, value in (("task", task), ("triage", triage)) if value})
    view = gateway.read(f"/v1/differences?{query}")
    show(view, format, lambda: print_table(_COLUMNS, ([group[column] for column in _MEMBERS] for group in view["groups"])))


@app.command("show", short_help="One with its samples.")
@on_gateway
def show_one(gateway: GatewayClient, fingerprint: _Fingerprint, format: FormatOption = Format.JSON) -> None:
    """Show one with its samples: decision, both outcomes, both traces; the table leaves outcomes and traces away.

    Example: dualrun differences show 0f3a9c1e5b7d2468
    """
    view = gateway.read(_path(fingerprint))
    show(view, format, lambda: _print(view))


@app.command("triage", short_help="Say where one stands: open, known or fixed.")
@on_gateway
def triage(
    gateway: GatewayClient,
    fingerprint: _Fingerprint,
    state: Annotated[State, typer.Argument(help="open, known or fixed.")],
    note: Annotated[str, typer.Option(help="Why, or where the ticket is.")] = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Say where one stands. A group that comes again after it was called fixed is reopened.

    Example: dualrun differences triage 0f3a9c1e5b7d2468 fixed --note "rounds like the old one since 1.4"
    """
    view = gateway.call("PUT", _path(fingerprint), body={"triage": state.value, "author": getpass.getuser(), "note": note}).json()
    show(view, format, lambda: typer.echo(f"{view['group']['path']}: {view['group']['triage']}"))


def _path(fingerprint: str) -> str:
    return f"/v1/differences/{quote(fingerprint, safe='')}"


def _print(view: Mapping[str, Any]) -> None:
    print_members({name: value for name, value in view["group"].items() if name != "samples"})
    typer.echo(f"\n{len(view['submissions'])} samples; --format json shows them whole")
