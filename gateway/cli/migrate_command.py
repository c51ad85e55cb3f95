"""`dualrun migrate`: what a Celery code base holds, read from its source alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table
from gateway.migrate import Scan, scan_path

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Read a Celery code base: its tasks, callers, schedules and routes.")


@app.callback()
def migrate() -> None:
    """Read a Celery code base: its tasks, callers, schedules and routes."""


@app.command("scan")
def scan(
    path: Annotated[Path, typer.Argument(help="Directory of the code base, or one file.", exists=True)],
    format: FormatOption = Format.TABLE,
) -> None:
    """Find every Celery task, call site, schedule and route. Source is only read: nothing of it is imported or run.

    Files that do not parse are listed with the reason and change nothing else. Example: dualrun migrate scan src --format json
    """
    found = scan_path(path)
    if format is Format.JSON:
        return typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    return _show(found)


def _show(found: Scan) -> None:
    tasks = [(task.name if task.name_certain else f"{task.name} ?", f"{task.file}:{task.line}", task.decorator) for task in found.tasks]
    print_table(("task (? name not certain)", "place", "made by"), tasks)
    if found.schedules:
        print_table(
            ("scheduled task", "when", "place"), [(entry.task, entry.when, f"{entry.file}:{entry.line}") for entry in found.schedules]
        )
    if found.routes:
        print_table(("route of", "goes to", "place"), [(route.task, route.route, f"{route.file}:{route.line}") for route in found.routes])
    if found.unparsed:
        print_table(("not read", "line", "why"), [(entry.file, entry.line, entry.reason) for entry in found.unparsed])
    typer.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in msgspec.structs.asdict(found.totals).items()))
