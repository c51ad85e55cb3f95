"""`dualrun flags history|show|diff|export|apply`: flags as versions, and as a file."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient
from gateway.cli.exit_code import ExitCode
from gateway.cli.in_flight_command import WAIT_S, print_in_flight
from gateway.cli.option import ForceOption, FormatOption, ReasonOption, check_reason
from gateway.cli.output import Format, moment, print_table, show
from gateway.cli.refusal import Refused
from gateway.cli.session import on_gateway

__all__ = ["apply", "diff", "export", "history", "print_changes", "show_version"]

_COLUMNS = ("version", "changed_at", "source", "author", "reason")
_SHOWN = ("mode", "events_percent", "shadow_percent", "safety")
_NAMED = 3
_NOT_SET = frozenset({"task", "version"})


class FileFormat(StrEnum):
    """How flags are written to a file."""

    YAML = "yaml"
    JSON = "json"


_Version = Annotated[int, typer.Argument(help="Number of a version.", min=1)]


@on_gateway
def history(
    gateway: GatewayClient,
    limit: Annotated[int, typer.Option(help="How many versions.", min=1, max=200)] = 20,
    before: Annotated[int | None, typer.Option(help="Only versions below this one.", min=1)] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show who changed which flags, when and why; newest first.

    Example: dualrun flags history --limit 5
    """
    cursor = f"&cursor={before}" if before is not None else ""
    page = gateway.read(f"/v1/flags/history?limit={limit}{cursor}")
    rows = ([*_said_of(entry), _named([change["task"] for change in entry["changes"]])] for entry in page["versions"])
    show(page, format, lambda: print_table((*_COLUMNS, "flags changed"), rows))


@on_gateway
def show_version(gateway: GatewayClient, version: _Version, format: FormatOption = Format.TABLE) -> None:
    """Show one version: who, why, what it changed, and all its flags.

    Example: dualrun flags show 7
    """
    view = gateway.read(f"/v1/flags/history/{version}")
    show(view, format, lambda: _print_version(view))


@on_gateway
def diff(
    gateway: GatewayClient,
    version: Annotated[int, typer.Argument(help="From this version ...", min=1)],
    other: Annotated[int, typer.Argument(help="... to this one.", min=1)],
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what differs between two versions.

    Example: dualrun flags diff 3 7
    """
    changes = gateway.read(f"/v1/flags/history/{other}?against={version}")["changes"]
    show(changes, format, lambda: print_changes(changes))


@on_gateway
def export(
    gateway: GatewayClient,
    version: Annotated[int | None, typer.Option(help="This version; what is in force where left out.", min=1)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file instead of the terminal.")] = None,
    format: Annotated[FileFormat, typer.Option("--format", help="`apply` takes either.")] = FileFormat.YAML,
) -> None:
    """Write the flags as a file that `apply` and the gateway's flags file take.

    Example: dualrun flags export -o flags.yaml
    """
    from gateway.api.flag_body import FlagMembers, flag_of
    from gateway.flags.document import dump_flags

    view = gateway.read("/v1/flags" if version is None else f"/v1/flags/history/{version}")
    members = {task: msgspec.convert(_members(flag), FlagMembers) for task, flag in view["flags"].items()}
    text = dump_flags({task: flag_of(task, given, None) for task, given in members.items()})
    if format is FileFormat.JSON:
        text = _as_json(text)
    if output is None:
        return typer.echo(text, nl=False)
    output.write_text(text, encoding="utf-8")
    return typer.echo(f"version {view['version']} written to {output}")


@on_gateway
def apply(
    gateway: GatewayClient,
    file: Annotated[Path, typer.Argument(help="A flags file: afterwards its flags are all there are.", exists=True, dir_okay=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    force: ForceOption = False,
    reason: ReasonOption = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Put a file's flags in force, all at once; refused when somebody changes a flag meanwhile.

    Example: dualrun flags apply config/flags.yaml --dry-run
    """
    check_reason(force, reason)
    made: dict[str, JsonValue] = {"author": getpass.getuser(), "reason": reason or str(file), "source": "cli", "force": force}
    body: dict[str, JsonValue] = {"flags": _read(file), **made}
    answer = gateway.call("PUT", "/v1/flags?dry_run=true", body=body)
    if answer.json()["changes"] and not dry_run:
        answer = gateway.call("PUT", f"/v1/flags?wait_s={WAIT_S}", body=body, headers={"If-Match": answer.headers["ETag"]})
    view = answer.json()

    def told() -> None:
        print_changes(view["changes"])
        if view["refused"]:
            return typer.echo(f"apply is refused here: {view['refused']}")
        would = "would follow" if dry_run and view["changes"] else "in force"
        typer.echo(f"version {view['version'] + (would != 'in force')} {would}")
        return print_in_flight(view["in_flight"], "`dualrun flags in-flight TASK`")

    show({**view, "dry_run": dry_run}, format, told)


def print_changes(changes: Sequence[Mapping[str, Any]]) -> None:
    """A line for each member that changed."""
    if not changes:
        return typer.echo("no flag differs")
    marks = {"added": "+", "changed": "~", "removed": "-"}
    for change in changes:
        said = (_said(change["kind"], member) for member in change["members"])
        typer.echo(f"{marks[change['kind']]} {change['task']}: {', '.join(said)}")
    return None


def _said_of(entry: Mapping[str, Any]) -> list[object]:
    return [moment(entry[name]) if name == "changed_at" else entry[name] for name in _COLUMNS]


def _named(tasks: Sequence[str]) -> str:
    more = len(tasks) - _NAMED
    return ", ".join(tasks[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _print_version(view: Mapping[str, Any]) -> None:
    print_table(("", ""), zip(_COLUMNS, _said_of(view), strict=True))
    since = view["compared_with"]
    typer.echo("\nthe version before is no longer kept" if since is None else f"\nchanged since version {since}:")
    print_changes(view["changes"])
    if view["evidence"] is not None:
        _print_evidence(view["evidence"])
    typer.echo("\nall flags:")
    print_table(("task", *_SHOWN), ([flag["task"], *(flag[name] for name in _SHOWN)] for flag in view["flags"].values()))


def _print_evidence(evidence: Mapping[str, Any]) -> None:
    typer.echo(f"\nit rests on {evidence['report']}")
    if evidence["n"] is not None:
        bound = evidence["mismatch_at_most_percent"]
        proven = "" if bound is None else f", at most {bound:.3g} % proven"
        typer.echo(f"{evidence['n']:,} comparisons, {evidence['mismatches'] or 0:,} of them different{proven}")
    if evidence["checks"]:
        print_table(
            ("check", "result", "what was known"), ([check["name"], check["result"], check["text"]] for check in evidence["checks"])
        )


def _as_json(text: str) -> str:
    import yaml

    return json.dumps(yaml.safe_load(text), indent=2, ensure_ascii=False) + "\n"


def _said(kind: str, member: Mapping[str, Any]) -> str:
    if kind != "changed":
        return f"{member['member']} {member['after'] if kind == 'added' else member['before']}"
    return f"{member['member']} {member['before']} -> {member['after']}"


def _read(file: Path) -> dict[str, JsonValue]:
    """The file's flags as a request holds them; a mistake ends the command, with its line."""
    from gateway.api.flag_view import view_of
    from gateway.core.errors import FlagsFileRejected
    from gateway.core.flags import FlagSnapshot
    from gateway.flags.document import parse_flags

    try:
        flags = parse_flags(file.read_text(encoding="utf-8"), str(file))
    except UnicodeDecodeError as exc:
        raise Refused(f"{file}: is not UTF-8", ExitCode.WRONG) from exc
    except FlagsFileRejected as exc:
        raise Refused(str(exc), ExitCode.WRONG) from exc
    views = ((task, view_of(flag, FlagSnapshot(version=0))) for task, flag in flags.items())
    return {task: _members(msgspec.to_builtins(view)) for task, view in views}


def _members(flag: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What of a flag as it is shown can be set."""
    return {name: value for name, value in flag.items() if name not in _NOT_SET}
