"""`dualrun migrate`: what a Celery code base holds, read from its source alone, and event handlers made of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import typer

from dualrun.contracts import JsonObject
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, progress_bar, show

# What reads and writes source is imported by the commands that do: every other command starts without it.
if TYPE_CHECKING:
    from gateway.migrate import Reading, Scan
    from gateway.migrate.generate.plan import Plan
    from gateway.migrate.generate.writing import Written
    from gateway.migrate.report import Report

__all__ = ["app"]

app = typer.Typer(invoke_without_command=True, help="Read a Celery code base and make event handlers of its tasks.")

SourceArgument = Annotated[Path, typer.Argument(help="Directory of the code base, or one file.", exists=True)]


class ReportFormat(StrEnum):
    """How a scan is shown."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"
    HTML = "html"


@app.callback()
def migrate(
    context: typer.Context,
    source: Annotated[Path | None, typer.Option("--source", help="Directory of the code base.", exists=True)] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Directory for the handlers.")] = None,
    write: Annotated[bool | None, typer.Option("--migrate/--dry-run", help="Write the files, or say which.")] = None,
) -> None:
    """Read a Celery code base and make event handlers of its tasks.

    `scan` and `generate` do one thing each. In one line: dualrun migrate --source src --output src/event_driven --dry-run
    """
    if context.invoked_subcommand is not None:
        return
    if source is None or output is None or write is None:
        typer.echo(context.get_help())
        raise typer.Exit(0 if (source, output, write) == (None, None, None) else 2)
    _generate(source, output, task="*", dry_run=not write, async_http=False, format=Format.TABLE)


@app.command("scan", short_help="Find every task, call site, schedule and route.")
def scan(
    path: SourceArgument,
    format: Annotated[ReportFormat, typer.Option("--format", help="table for people; json, yaml; markdown or html to pass on.")] = (
        ReportFormat.TABLE
    ),
) -> None:
    """Find every Celery task, call site, schedule and route. Source is only read: nothing of it is imported or run.

    Files that do not parse are listed with the reason and change nothing else.

    Example: dualrun migrate scan src --format json
    """
    from gateway.migrate import render_html, render_markdown, report_of

    report = report_of(_reading(path))
    match format:
        case ReportFormat.JSON | ReportFormat.YAML:
            show(_found(report), Format(format.value), lambda: None)
        case ReportFormat.MARKDOWN:
            typer.echo(render_markdown(report), nl=False)
        case ReportFormat.HTML:
            typer.echo(render_html(report), nl=False)
        case ReportFormat.TABLE:
            _show(report)


@app.command("generate", short_help="Write an event handler for every task.")
def generate(
    path: SourceArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory for handlers, tests, flags and rules.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    task: Annotated[str, typer.Option("--task", help="Only tasks whose name fits this glob.")] = "*",
    async_http: Annotated[bool, typer.Option("--async-http", help="Call requests' servers by httpx, without a thread.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Write an event handler for every task, with a test stub, flags in mode legacy and rules beside it.

    A file you changed is never overwritten: where it would now be generated otherwise, the difference is shown and the exit code is 1.

    Example: dualrun migrate generate src --output src/event_driven --task 'billing.*'
    """
    _generate(path, output, task=task, dry_run=dry_run, async_http=async_http, format=format)


def _generate(path: Path, output: Path, *, task: str, dry_run: bool, async_http: bool, format: Format) -> None:
    from gateway.migrate.generate.plan import plan_files
    from gateway.migrate.generate.writing import read_inventory, write_files

    known = read_inventory(output)
    plan = plan_files(_reading(path), source=path.name or str(path), task=task, async_http=async_http, known=known)
    if not plan.modules:
        typer.echo(f"no task in {path} fits {task!r}", err=True)
        raise typer.Exit(1)
    written = write_files(output, plan.files, inventory=plan.inventory, dry_run=dry_run)
    result = cast("JsonObject", msgspec.to_builtins(_result(plan, written, output)))
    show(result, format, lambda: _tell(plan, written, output, dry_run=dry_run))
    if written.refused:
        raise typer.Exit(1)


def _reading(path: Path) -> Reading:
    """The code base, with a bar while somebody looks on."""
    from gateway.migrate import read_path

    with progress_bar() as bar:
        reading = bar.add_task("reading source", total=None)
        return read_path(path, told=lambda done, files: bar.update(reading, completed=done, total=files))


def _found(report: Report) -> JsonObject:
    found = {**msgspec.to_builtins(report.reading.scan), "advice": msgspec.to_builtins(report.advice), "order": report.order}
    return cast("JsonObject", msgspec.to_builtins(found))


def _result(plan: Plan, written: Written, output: Path) -> dict[str, object]:
    handlers = [
        {
            "task": module.source.task.name,
            "file": str(output / "handlers" / f"{module.name}.py"),
            "difficulty": module.difficulty,
            "decisions": msgspec.to_builtins(module.decisions),
            "notes": module.notes,
        }
        for module in plan.modules
    ]
    files = {"written": written.written, "unchanged": written.unchanged, "kept": written.kept, "refused": written.refused}
    return {"handlers": handlers, "files": files, "repeated": plan.repeated}


def _tell(plan: Plan, written: Written, output: Path, *, dry_run: bool) -> None:
    rows = [(module.source.task.name, module.difficulty, str(output / "handlers" / f"{module.name}.py")) for module in plan.modules]
    print_table(("task", "difficulty", "handler"), rows)
    for name, difference in written.refused.items():
        typer.echo(f"\n{name} was changed since it was generated and is left as it is. What would be written:\n{difference}")
    said = "would be written" if dry_run else "written"
    typer.echo(
        f"{len(plan.modules)} handlers. Files: {len(written.written)} {said}, {len(written.unchanged)} unchanged, "
        f"{len(written.kept)} kept as you changed them, {len(written.refused)} refused. Read {output / 'MIGRATION.md'} next."
    )


def _show(report: Report) -> None:
    found: Scan = report.reading.scan
    tasks = [
        (task.name if task.name_certain else f"{task.name} ?", f"{task.file}:{task.line}", task.decorator, advice.safety, advice.difficulty)
        for task, advice in zip(found.tasks, report.advice, strict=True)
    ]
    print_table(("task (? name not certain)", "place", "made by", "safety", "difficulty"), tasks)
    if found.schedules:
        print_table(
            ("scheduled task", "when", "place"), [(entry.task, entry.when, f"{entry.file}:{entry.line}") for entry in found.schedules]
        )
    if found.routes:
        print_table(("route of", "goes to", "place"), [(route.task, route.route, f"{route.file}:{route.line}") for route in found.routes])
    if found.unparsed:
        print_table(("not read", "line", "why"), [(entry.file, entry.line, entry.reason) for entry in found.unparsed])
    typer.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in msgspec.structs.asdict(found.totals).items()))
