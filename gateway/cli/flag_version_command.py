"""`dualrun flags history|show|diff|export|apply`: flags as versions, and as a file."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient, Refused, fail
from gateway.cli.option import DEFAULT_URL, FormatOption, UrlOption
from gateway.cli.output import Format, print_json, print_table

__all__ = ["apply", "diff", "export", "history", "print_changes", "show"]

_COLUMNS = ("version", "changed_at", "source", "author", "reason")
_MEMBERS = ("mode", "events_percent", "shadow_percent", "safety", "salt", "hash_version")
_Version = Annotated[int, typer.Argument(help="Number of a version.", min=1)]


def history(
    limit: Annotated[int, typer.Option(help="How many versions.", min=1, max=200)] = 20,
    before: Annotated[int | None, typer.Option(help="Only versions below this one.", min=1)] = None,
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show who changed which flags, when and why; newest first.

    Example: dualrun flags history --limit 5
    """
    cursor = f"&cursor={before}" if before is not None else ""
    page = _get(url, f"/v1/flags/history?limit={limit}{cursor}")
    if format is Format.JSON:
        return print_json(page)
    rows = ([*(entry[name] for name in _COLUMNS), ", ".join(change["task"] for change in entry["changes"])] for entry in page["versions"])
    return print_table((*_COLUMNS, "flags changed"), rows)


def show(version: _Version, url: UrlOption = DEFAULT_URL, format: FormatOption = Format.TABLE) -> None:
    """Show one version: who, why, what it changed, and all its flags.

    Example: dualrun flags show 7
    """
    view = _get(url, f"/v1/flags/history/{version}")
    if format is Format.JSON:
        return print_json(view)
    print_table(("", ""), [(name, view[name]) for name in _COLUMNS])
    since = view["compared_with"]
    typer.echo("\nthe version before is no longer kept" if since is None else f"\nchanged since version {since}:")
    print_changes(view["changes"])
    typer.echo("\nall flags:")
    return print_table(("task", *_MEMBERS[:4]), ([flag["task"], *(flag[name] for name in _MEMBERS[:4])] for flag in view["flags"].values()))


def diff(
    version: Annotated[int, typer.Argument(help="From this version ...", min=1)],
    other: Annotated[int, typer.Argument(help="... to this one.", min=1)],
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what differs between two versions.

    Example: dualrun flags diff 3 7
    """
    changes = _get(url, f"/v1/flags/history/{other}?against={version}")["changes"]
    return print_json(changes) if format is Format.JSON else print_changes(changes)


def export(
    version: Annotated[int | None, typer.Option(help="This version; what is in force where left out.", min=1)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file instead of the terminal.")] = None,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """Write the flags as a file that `apply` and the gateway's flags file take.

    Example: dualrun flags export -o flags.yaml
    """
    from gateway.api.flag_view import FlagMembers, flag_of
    from gateway.flags.document import dump_flags

    view = _get(url, "/v1/flags" if version is None else f"/v1/flags/history/{version}")
    members = {task: msgspec.convert({name: flag[name] for name in _MEMBERS}, FlagMembers) for task, flag in view["flags"].items()}
    text = dump_flags({task: flag_of(task, given) for task, given in members.items()})
    if output is None:
        return typer.echo(text, nl=False)
    output.write_text(text, encoding="utf-8")
    return typer.echo(f"version {view['version']} written to {output}")


def apply(
    file: Annotated[Path, typer.Argument(help="A flags file: afterwards its flags are all there are.", exists=True, dir_okay=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with the change.")] = "",
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Put a file's flags in force, all at once; refused when somebody changes a flag meanwhile.

    Example: dualrun flags apply config/flags.yaml --dry-run
    """
    client = GatewayClient(url)
    body: dict[str, JsonValue] = {"flags": _read(file), "author": getpass.getuser(), "reason": reason or str(file), "source": "cli"}
    try:
        answer = client.call("PUT", "/v1/flags?dry_run=true", body=body)
        if answer.json()["changes"] and not dry_run:
            answer = client.call("PUT", "/v1/flags", body=body, headers={"If-Match": answer.headers["ETag"]})
    except Refused as exc:
        raise fail(exc) from exc
    view = answer.json()
    if format is Format.JSON:
        return print_json({**view, "dry_run": dry_run})
    print_changes(view["changes"])
    would = "would follow" if dry_run and view["changes"] else "in force"
    return typer.echo(f"version {view['version'] + (would != 'in force')} {would}")


def print_changes(changes: Sequence[Mapping[str, Any]]) -> None:
    """A line for each member that changed."""
    if not changes:
        return typer.echo("no flag differs")
    marks = {"added": "+", "changed": "~", "removed": "-"}
    for change in changes:
        said = (_said(change["kind"], member) for member in change["members"])
        typer.echo(f"{marks[change['kind']]} {change['task']}: {', '.join(said)}")
    return None


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
        raise fail(Refused(f"{file}: is not UTF-8", 2)) from exc
    except FlagsFileRejected as exc:
        raise fail(Refused(str(exc), 2)) from exc
    views = ((task, view_of(flag, FlagSnapshot(version=0))) for task, flag in flags.items())
    return {task: {name: getattr(view, name) for name in _MEMBERS} for task, view in views}


def _get(url: str, path: str) -> Any:  # noqa: ANN401 - the JSON the gateway answers
    try:
        return GatewayClient(url).call("GET", path).json()
    except Refused as exc:
        raise fail(exc) from exc
