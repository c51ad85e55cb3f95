"""All commands in one place: each is defined beside what it is about."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from gateway.cli import (
    audit_command,
    breaker_command,
    dead_letter_command,
    difference_command,
    doctor_command,
    flag_command,
    flag_version_command,
    gate_command,
    in_flight_command,
    migrate_command,
    process_command,
    profile_command,
    queue_command,
    report_command,
    rollback_command,
    rule_command,
    task_command,
    token_command,
)
from gateway.cli.exit_code import EPILOG

__all__ = ["app", "main"]

app = typer.Typer(
    name="dualrun",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    # Boxes take the room of words in eighty columns, and cannot be copied from.
    rich_markup_mode=None,
    epilog=EPILOG,
    help="Run each task on Celery and on event handlers, compare what both did, and move over on evidence.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dualrun {installed_version('dualrun-gateway')}")
        raise typer.Exit


@app.callback()
def _of_all(
    _: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and leave.")] = False,
) -> None: ...


app.command("run", short_help="Everything in one process, with a sample shop.")(process_command.run)
app.command("demo", short_help="What the comparison finds in sample traffic.")(process_command.demo)
app.command("gateway", short_help="One gateway process; run as many as you like.")(process_command.gateway)
app.command("comparator", short_help="One comparator; several may compete.")(process_command.comparator)
app.command("submit")(task_command.submit)
app.add_typer(task_command.app, name="task", short_help="One submission: show it, watch it, cancel it.")
flag_command.app.command("gate", short_help="Where a task stands, and what is proven so far.")(gate_command.gate)
flag_command.app.command("promote", short_help="One step forward on evidence, or any step back.")(gate_command.promote)
flag_command.app.command("hold", short_help="Nobody takes the task forward, the gate included.")(gate_command.hold)
flag_command.app.command("in-flight", short_help="What became of work that waited when the task was moved.")(in_flight_command.in_flight)
flag_command.app.command("history")(flag_version_command.history)
flag_command.app.command("show")(flag_version_command.show_version)
flag_command.app.command("diff")(flag_version_command.diff)
flag_command.app.command("export", short_help="Write the flags as a file.")(flag_version_command.export)
flag_command.app.command("apply", short_help="Put a file's flags in force, all at once.")(flag_version_command.apply)
app.add_typer(flag_command.app, name="flags", short_help="Where each task is on its way: read, set, promote.")
app.command("rollback", short_help="Back to legacy, or to an earlier version, at once.")(rollback_command.rollback)
app.command("report", short_help="What shadows showed: verdicts, proof, differences.")(report_command.report)
app.command("doctor", short_help="Is everything there, and can a task be moved?")(doctor_command.doctor)
app.add_typer(difference_command.app, name="differences", short_help="Groups of differences: look, and triage.")
app.add_typer(rule_command.app, name="rules", short_help="Comparison rules, and which ones noise suggests.")
app.add_typer(dead_letter_command.app, name="dead-letters", short_help="What queues could not deal with: replay, discard.")
app.command("queues", short_help="What waits, and who takes it.")(queue_command.queues)
app.command("breakers", short_help="What handlers do not call for now.")(breaker_command.breakers)
app.command("audit", short_help="Who changed what, from where and why.")(audit_command.audit)
app.add_typer(token_command.app, name="tokens", short_help="Who has access: create, list, revoke.")
app.add_typer(migrate_command.app, name="migrate", short_help="Read a Celery code base, generate handlers.")
app.command("profiles", short_help="The gateways you have named.")(profile_command.profiles)


def main() -> None:
    """Entry point of the command `dualrun`."""
    app()


if __name__ == "__main__":
    main()
