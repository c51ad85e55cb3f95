"""`dualrun flags`: read and set flags."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from dualrun.contracts import JsonValue, Mode, Safety
from gateway.cli.client import GatewayClient, Refused, fail
from gateway.cli.option import DEFAULT_URL, FormatOption, UrlOption
from gateway.cli.output import Format, print_json, print_table

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Read and set flags: where each task is on its way.")
_COLUMNS = ("task", "mode", "events_percent", "shadow_percent", "safety")
_KEPT = ("mode", "events_percent", "shadow_percent", "safety", "salt", "hash_version")


@app.command("list")
def list_flags(url: UrlOption = DEFAULT_URL, format: FormatOption = Format.TABLE) -> None:
    """Show every flag in force.

    Example: dualrun flags list
    """
    try:
        view = GatewayClient(url).call("GET", "/v1/flags").json()
    except Refused as exc:
        raise fail(exc) from exc
    if format is Format.JSON:
        return print_json(view)
    print_table(_COLUMNS, ([flag[column] for column in _COLUMNS] for flag in view["flags"].values()))
    return typer.echo(f"version {view['version']}, {view['source'] or 'nothing set yet'} {view['author']} {view['reason']}".rstrip())


@app.command("get")
def get_flag(
    task: Annotated[str, typer.Argument(help="Task name.")],
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the flag in force for a task.

    Example: dualrun flags get order.send_order_confirmation
    """
    try:
        view = GatewayClient(url).call("GET", f"/v1/flags/{task}").json()
    except Refused as exc:
        raise fail(exc) from exc
    return print_json(view) if format is Format.JSON else print_table(("", ""), view.items())


@app.command("set")
def set_flag(
    task: Annotated[str, typer.Argument(help="Task name, or a glob such as 'cart.*'.")],
    mode: Annotated[Mode | None, typer.Option(help="Where the task is on its way.")] = None,
    events_percent: Annotated[float | None, typer.Option(help="Canary: cohort keys answered by events, 0 to 100.")] = None,
    shadow_percent: Annotated[float | None, typer.Option(help="Cohort keys also run as a shadow, 0 to 100.")] = None,
    safety: Annotated[Safety | None, typer.Option(help="What a shadow of this task may do.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the change.")] = "",
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Change a flag; what is not named stays as it is. In force on every gateway within a second.

    Example: dualrun flags set order.send_order_confirmation --mode shadow --shadow-percent 100 --safety sandboxed
    """
    client = GatewayClient(url)
    changes = {"mode": mode, "events_percent": events_percent, "shadow_percent": shadow_percent, "safety": safety}
    try:
        present, version = _present(client, task)
        body: dict[str, JsonValue] = {**present, **{name: value for name, value in changes.items() if value is not None}}
        body |= {"author": getpass.getuser(), "reason": reason, "source": "cli"}
        view = client.call("PUT", f"/v1/flags/{task}", body=body, headers={"If-Match": version}).json()
    except Refused as exc:
        raise fail(exc) from exc
    return print_json(view) if format is Format.JSON else print_table(("", ""), view.items())


def _present(client: GatewayClient, task: str) -> tuple[dict[str, JsonValue], str]:
    """The task's own flag (or a fresh one), and the version it was read at."""
    answer = client.call("GET", "/v1/flags")
    own = answer.json()["flags"].get(task)
    present: dict[str, JsonValue] = {name: own[name] for name in _KEPT} if own else {"mode": Mode.LEGACY.value}
    return present, answer.headers["ETag"]
