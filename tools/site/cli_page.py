"""The reference of the command line, from the commands' own help."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from typer.testing import CliRunner

from gateway.cli.exit_code import EPILOG
from gateway.cli.main import app

__all__ = ["cli_page", "command_paths"]


def cli_page() -> str:
    """Each command with its help, as a terminal of eighty columns shows it."""
    parts = ["# Command line\n", f"{EPILOG}\n"]
    for path in command_paths(app):
        parts.append(f"## dualrun {' '.join(path)}\n" if path else "## dualrun\n")
        parts.append(f"```text\n{_help(path)}\n```\n")
    return "\n".join(parts)


def command_paths(of: typer.Typer, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group by its words, the outermost first."""
    yield above
    for command in of.registered_commands:
        yield (*above, str(command.name))
    for group in of.registered_groups:
        if group.typer_instance is not None:
            yield from command_paths(group.typer_instance, (*above, str(group.name)))


def _help(path: tuple[str, ...]) -> str:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80", "TERM": "dumb"}, prog_name="dualrun")
    return shown.stdout.strip("\n")
