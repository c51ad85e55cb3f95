"""`dualrun dead-letters`: look at what queues could not deal with, send it back or let it go."""

from __future__ import annotations

import getpass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient, Refused, fail
from gateway.cli.option import DEFAULT_URL, FormatOption, UrlOption
from gateway.cli.output import Format, print_json, print_table

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Messages that a queue could not deal with: look, replay, discard.")
_COLUMNS = ("id", "queue", "task", "attempts", "reason")
_Queue = Annotated[str, typer.Argument(help="The queue it came from.")]
_Id = Annotated[str, typer.Argument(help="The message's id.")]


@app.command("list")
def list_dead_letters(
    service: Annotated[str, typer.Option(envvar="DUALRUN_SERVICE", help="The service whose queues are looked into.")] = "shop",
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the dead letters of a service.

    Example: dualrun dead-letters list --service shop
    """
    view = _call(url, "GET", f"?service={quote(service)}")
    if format is Format.JSON:
        return print_json(view)
    return print_table(_COLUMNS, ([letter[column] for column in _COLUMNS] for letter in view["dead_letters"]))


@app.command("show")
def show(queue: _Queue, id: _Id, url: UrlOption = DEFAULT_URL, format: FormatOption = Format.TABLE) -> None:
    """Show one with its headers, body and traceback.

    Example: dualrun dead-letters show dualrun.events.shop 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11
    """
    view = _call(url, "GET", _path(queue, id))
    return print_json(view) if format is Format.JSON else print_table(("", ""), view.items())


@app.command("replay")
def replay(queue: _Queue, id: _Id, url: UrlOption = DEFAULT_URL) -> None:
    """Send one back to its queue, under its id.

    Example: dualrun dead-letters replay dualrun.events.shop 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11
    """
    _call(url, "POST", f"{_path(queue, id)}/replay")
    typer.echo(f"replayed: {id} is in {queue} again")


@app.command("discard")
def discard(
    queue: _Queue,
    id: _Id,
    reason: Annotated[str, typer.Option(help="Why it may go; logged.")],
    url: UrlOption = DEFAULT_URL,
) -> None:
    """Delete one for good.

    Example: dualrun dead-letters discard dualrun.events.shop 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11 --reason "a test order"
    """
    _call(url, "POST", f"{_path(queue, id)}/discard", {"reason": reason, "author": getpass.getuser()})
    typer.echo(f"discarded: {id}")


def _path(queue: str, id_: str) -> str:
    return f"/{quote(queue, safe='')}/{quote(id_, safe='')}"


def _call(url: str, method: str, path: str, body: JsonValue = None) -> dict[str, Any]:
    try:
        view: dict[str, Any] = GatewayClient(url).call(method, f"/v1/dead-letters{path}", body=body).json()
    except Refused as exc:
        raise fail(exc) from exc
    return view
