"""`dualrun tokens`: who has access."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote

import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, show
from gateway.cli.session import on_gateway
from gateway.core.access import Permission

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Access tokens: create, list, revoke. Your own is taken from DUALRUN_TOKEN.")
_COLUMNS = ("id", "name", "permissions", "tasks", "created_at", "created_by", "expires_at")
_DURATION = re.compile(r"(\d{1,6})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@app.command("create", short_help="Create one; it is shown this once.")
@on_gateway
def create(
    gateway: GatewayClient,
    name: Annotated[str, typer.Argument(help="Whom or what it is for.")],
    allow: Annotated[list[Permission], typer.Option("--allow", help="What it may do; may be repeated.")],
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Task or glob it may touch; may be repeated. All where left out.")
    ] = None,
    expires_in: Annotated[str | None, typer.Option("--expires-in", help="12h, 90d; left out: never.")] = None,
    rate_per_s: Annotated[float | None, typer.Option("--rate-per-s", help="Requests a second it may make.", min=0)] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Create an access token. It is shown this once: only its digest is kept.

    submit: submit tasks, read what became of them. view: read everything. operate: view, flags, rollback, triage, dead letters.
    admin: everything.

    Example: dualrun tokens create "checkout service" --allow submit --task "order.*"
    """
    body: dict[str, JsonValue] = {"name": name, "permissions": [str(permission) for permission in allow]}
    body |= {"tasks": list(task)} if task else {}
    body |= {"lifetime_s": _seconds(expires_in)} if expires_in else {}
    body |= {"rate_per_s": rate_per_s} if rate_per_s else {}
    view = gateway.call("POST", "/v1/tokens", body=body).json()
    # The token alone on stdout, so that it can be piped to where it is kept.
    typer.echo(f"token {view['id']} for {view['name']}, shown this once:", err=True)
    show(view, format, lambda: typer.echo(view["token"]))


@app.command("list")
@on_gateway
def list_tokens(gateway: GatewayClient, format: FormatOption = Format.TABLE) -> None:
    """Show who has access, to what, since when and until when.

    Example: dualrun tokens list
    """
    view = gateway.read("/v1/tokens")
    show(view, format, lambda: print_table(_COLUMNS, ([_cell(token[column]) for column in _COLUMNS] for token in view["tokens"])))


@app.command("revoke", short_help="Refuse one from now on.")
@on_gateway
def revoke(
    gateway: GatewayClient,
    id: Annotated[str, typer.Argument(help="The token's id: what stands between its underscores.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Refuse a token, and the console sessions begun with it, on every gateway within a second.

    Example: dualrun tokens revoke 9f2c41d07a3e
    """
    view = gateway.call("DELETE", f"/v1/tokens/{quote(id, safe='')}").json()
    show(view, format, lambda: typer.echo(f"revoked: {view['id']} ({view['name']})"))


def _seconds(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter("a number and s, m, h or d, such as 90d", param_hint="--expires-in")
    return int(match[1]) * _UNITS_S[match[2]]


def _cell(value: JsonValue) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
