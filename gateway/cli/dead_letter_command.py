"""`dualrun dead-letters`: look at what queues could not deal with, send it back or let it go."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
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
_Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="The ids of one message or more.")]


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
def replay(gateway: GatewayClient, queue: _Queue, ids: _Ids, format: FormatOption = Format.TABLE) -> None:
    """Send them back to their queue, each under its id.

    Example: dualrun dead-letters replay dualrun.events.shop 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11
    """
    views = [_post(gateway, f"{_path(queue, id_)}/replay") for id_ in ids]
    _show_all(views, format, [f"replayed: {id_} is in {queue} again" for id_ in ids])


@app.command("discard")
@on_gateway
def discard(
    gateway: GatewayClient,
    queue: _Queue,
    ids: _Ids,
    reason: Annotated[str, typer.Option(help="Why it may go; logged.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Delete them for good.

    Example: dualrun dead-letters discard dualrun.events.shop 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11 --reason "a test order"
    """
    body: JsonValue = {"reason": reason, "author": getpass.getuser()}
    views = [_post(gateway, f"{_path(queue, id_)}/discard", body) for id_ in ids]
    _show_all(views, format, [f"discarded: {id_}" for id_ in ids])


def _show_all(views: Sequence[JsonValue], format: Format, lines: Sequence[str]) -> None:
    """One document: the letter, or a list of several."""
    show(views[0] if len(views) == 1 else list(views), format, lambda: typer.echo("\n".join(lines)))


def _path(queue: str, id_: str) -> str:
    return f"/v1/dead-letters/{quote(queue, safe='')}/{quote(id_, safe='')}"


def _post(gateway: GatewayClient, path: str, body: JsonValue = None) -> dict[str, Any]:
    view: dict[str, Any] = gateway.call("POST", path, body=body).json()
    return view
