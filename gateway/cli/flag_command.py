"""`dualrun flags`: read and set flags."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from dualrun.contracts import JsonValue, Mode, Safety
from gateway.cli.client import GatewayClient
from gateway.cli.in_flight_command import WAIT_S, print_in_flight
from gateway.cli.option import ForceOption, FormatOption, ReasonOption, check_reason
from gateway.cli.output import Format, print_members, print_table, show
from gateway.cli.session import on_gateway
from gateway.core.gate_settings import OnWorkerLoss

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Read and set flags: where each task is on its way.")
_COLUMNS = ("task", "mode", "events_percent", "shadow_percent", "safety")
_NOT_SET = frozenset({"task", "version"})


@app.command("list")
@on_gateway
def list_flags(gateway: GatewayClient, format: FormatOption = Format.TABLE) -> None:
    """Show every flag in force.

    Example: dualrun flags list
    """
    view = gateway.read("/v1/flags")

    def table() -> None:
        print_table(_COLUMNS, ([flag[column] for column in _COLUMNS] for flag in view["flags"].values()))
        typer.echo(f"version {view['version']}, {view['source'] or 'nothing set yet'} {view['author']} {view['reason']}".rstrip())

    show(view, format, table)


@app.command("get")
@on_gateway
def get_flag(
    gateway: GatewayClient,
    task: Annotated[str, typer.Argument(help="Task name.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the flag in force for a task.

    Example: dualrun flags get order.send_order_confirmation
    """
    view = gateway.read(f"/v1/flags/{task}")
    show(view, format, lambda: print_members(view))


@app.command("set")
@on_gateway
def set_flag(
    gateway: GatewayClient,
    task: Annotated[str, typer.Argument(help="Task name, or a glob such as 'cart.*'.")],
    mode: Annotated[Mode | None, typer.Option(help="Where the task is on its way.")] = None,
    events_percent: Annotated[float | None, typer.Option(help="Canary: cohort keys answered by events, 0 to 100.")] = None,
    shadow_percent: Annotated[float | None, typer.Option(help="Cohort keys also run as a shadow, 0 to 100.")] = None,
    control_percent: Annotated[
        float | None, typer.Option(help="Of the shadowed keys, those whose shadow runs on legacy too, to learn the noise: 0 to 100.")
    ] = None,
    safety: Annotated[Safety | None, typer.Option(help="What a shadow of this task may do.")] = None,
    cohort_path: Annotated[
        str | None,
        typer.Option(help="What cohorts are dealt by: kwargs.user_id, args[0], attributes.tenant, headers.x-tenant; '': the id."),
    ] = None,
    shadow_delay_s: Annotated[
        int | None, typer.Option(help="Seconds a shadow starts later, so that it is given what the authority was answered.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="File with a list of targeting rules, as in the flags file.", exists=True, dir_okay=False)
    ] = None,
    salt: Annotated[str | None, typer.Option(help="Another salt deals the cohorts again.")] = None,
    gate: Annotated[
        str | None, typer.Option(help="File with the members of a gate, as in the flags file; `null` takes the gate away.")
    ] = None,
    on_worker_loss: Annotated[OnWorkerLoss | None, typer.Option(help="Once the side that answers has lost its last worker.")] = None,
    evidence: Annotated[str | None, typer.Option(help="What you looked at, such as a report's address; kept with the change.")] = None,
    force: ForceOption = False,
    reason: ReasonOption = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Change a flag; what is not named stays as it is. In force on every gateway within a second.

    A flag that carries a gate goes forward by `promote`; a rule that takes somebody further than the flag does asks for the gate's
    evidence, or for --force and a reason.

    Example: dualrun flags set order.send_order_confirmation --mode shadow --shadow-percent 100 --safety sandboxed
    """
    check_reason(force, reason)
    changes: dict[str, JsonValue] = {
        "mode": mode,
        "events_percent": events_percent,
        "shadow_percent": shadow_percent,
        "control_percent": control_percent,
        "safety": safety,
        "cohort_path": cohort_path,
        "shadow_delay_s": shadow_delay_s,
        "rules": _yaml(rules, "--rules", []),
        "salt": salt,
        "on_worker_loss": on_worker_loss,
        "evidence": {"report": evidence} if evidence is not None else None,
    }
    given: dict[str, JsonValue] = {name: value for name, value in changes.items() if value is not None}
    if gate is not None:
        given["gate"] = _gate(gate)
    present, named, version = _present(gateway, task)
    body: dict[str, JsonValue] = {**present, **given}
    body |= {"author": getpass.getuser(), "reason": reason, "source": "cli", "force": force}
    view = gateway.call("PUT", f"/v1/flags/{task}?wait_s={WAIT_S}", body=body, headers={"If-Match": version}).json()

    if named not in (None, task):
        # On stderr: what is on stdout is for programs, too.
        typer.echo(f"{task} had the flag of {named}; from now on it has one of its own, and changes of {named} do not reach it", err=True)

    def told() -> None:
        print_members({name: value for name, value in view.items() if name != "in_flight"})
        print_in_flight(view["in_flight"], f"`dualrun flags in-flight {task}`")

    show(view, format, told)


def _present(gateway: GatewayClient, task: str) -> tuple[dict[str, JsonValue], str | None, str]:
    """What is in force for the task, the name of the flag that says so (None where none does), and the version it was read at."""
    from gateway.core.flags import Flag, FlagSnapshot

    answer = gateway.call("GET", "/v1/flags")
    flags, version = answer.json()["flags"], answer.headers["ETag"]
    found = FlagSnapshot(version=0, flags={name: Flag(task=name) for name in flags}).flag_for(task)
    if found is None:
        return {"mode": Mode.LEGACY.value}, None, version
    return {name: value for name, value in flags[found.task].items() if name not in _NOT_SET}, found.task, version


def _gate(given: str) -> JsonValue:
    """The gate a file holds; None for `null`, which takes the gate away."""
    if given == "null":
        return None
    file = Path(given)
    if not file.is_file():
        raise typer.BadParameter(f"{given!r} is no file; `null` takes the gate away", param_hint="--gate")
    return _yaml(file, "--gate", None)


def _yaml(file: Path | None, option: str, empty: JsonValue) -> JsonValue:
    """What a file holds: JSON, or YAML as in the flags file."""
    if file is None:
        return None
    import yaml

    try:
        value: JsonValue = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise typer.BadParameter(f"cannot be read: {exc}", param_hint=option) from exc
    return empty if value is None else value
