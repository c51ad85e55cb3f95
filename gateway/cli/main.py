"""All commands in one place: each is defined beside what it is about."""

from __future__ import annotations

import typer

from gateway.cli import (
    dead_letter_command,
    flag_command,
    flag_version_command,
    migrate_command,
    process_command,
    report_command,
    rollback_command,
    task_command,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="dualrun",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Run each task on Celery and on event handlers, compare what both did, and move over on evidence.",
)
app.command("run")(process_command.run)
app.command("demo")(process_command.demo)
app.command("gateway")(process_command.gateway)
app.command("comparator")(process_command.comparator)
app.command("submit")(task_command.submit)
app.command("task")(task_command.task)
flag_command.app.command("history")(flag_version_command.history)
flag_command.app.command("show")(flag_version_command.show)
flag_command.app.command("diff")(flag_version_command.diff)
flag_command.app.command("export")(flag_version_command.export)
flag_command.app.command("apply")(flag_version_command.apply)
app.add_typer(flag_command.app, name="flags")
app.command("rollback")(rollback_command.rollback)
app.command("report")(report_command.report)
app.add_typer(dead_letter_command.app, name="dead-letters")
app.add_typer(migrate_command.app, name="migrate")


def main() -> None:
    """Entry point of the command `dualrun`."""
    app()


if __name__ == "__main__":
    main()
