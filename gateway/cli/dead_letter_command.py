"""`dualrun dead-letters`: look at what queues could not deal with, send it back or let it go."""

from __future__ import annotations

import getpass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_members, print_table, show
from gateway.cli.session import on_gateway

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Messages that a queue could not deal with: look, replay, discard.")
_COLUMNS = ("id", "queue", "task", "attempts", "reason")
_Queue = Annotated[str, typer.Argument(help="The queue it came from.")]
_Id = Annotated[str, typer.Argument(help="The message's id.")]


@app.command("list")
@on_gateway
def list_dead_letters(
    gateway: GatewayClient,
    service: Annotated[str, typer.Option(envvar="DUALRUN_SERVICE", help="The service whose queues are looked into.")] = "shop",
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the dead letters of a service.

    Example: dualrun dead-letters list --service shop
    """
    view = gateway.read(f"/v1/dead-letters?service={quote(service)}")
    show(view, format, lambda: print_table(_COLUMNS, ([letter[column] for column in _COLUMNS] for letter in view["dead_letters"])))


@app.command("show", short_help="One with headers, body and traceback.")
@on_gateway
def show_one(gateway: GatewayClient, queue: _Queue, id: _Id, format: FormatOption = Format.TABLE) -> None:
    """Show one with its headers, body and traceback.

    Example: dualrun dead-letters show dualrun.events.shop 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11
    """
    view = gateway.read(_path(queue, id))
    show(view, format, lambda: print_members(view))


@app.command("replay")
@on_gateway
def replay(gateway: GatewayClient, queue: _Queue, id: _Id, format: FormatOption = Format.TABLE) -> None:
    """Send one back to its queue, under its id.

    Example: dualrun dead-letters replay dualrun.events.shop 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11
    """
    view = _post(gateway, f"{_path(queue, id)}/replay")
    show(view, format, lambda: typer.echo(f"replayed: {id} is in {queue} again"))


@app.command("discard")
@on_gateway
def discard(
    gateway: GatewayClient,
    queue: _Queue,
    id: _Id,
    reason: Annotated[str, typer.Option(help="Why it may go; logged.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Delete one for good.

    Example: dualrun dead-letters discard dualrun.events.shop 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11 --reason "a test order"
    """
    view = _post(gateway, f"{_path(queue, id)}/discard", {"reason": reason, "author": getpass.getuser()})
    show(view, format, lambda: typer.echo(f"discarded: {id}"))


def _path(queue: str, id_: str) -> str:
    return f"/v1/dead-letters/{quote(queue, safe='')}/{quote(id_, safe='')}"


def _post(gateway: GatewayClient, path: str, body: JsonValue = None) -> dict[str, Any]:
    view: dict[str, Any] = gateway.call("POST", path, body=body).json()
    return view
