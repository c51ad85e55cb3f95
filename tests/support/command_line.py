"""The command `dualrun` in this process, against a gateway; and what it says of itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

import typer
from typer.testing import CliRunner, Result

from gateway.cli.main import app

__all__ = ["COMMANDS", "Dualrun", "dualrun_at", "examples_of"]

Dualrun: TypeAlias = Callable[..., Result]
"""Runs the command with these arguments."""


def dualrun_at(url: str, *, columns: int = 200) -> Dualrun:
    """The command, speaking to the gateway at this URL in a terminal of that width."""
    env = {"DUALRUN_GATEWAY_URL": url, "COLUMNS": str(columns)}
    return lambda *arguments: CliRunner().invoke(app, list(arguments), env=env)


def _commands(of: typer.Typer, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command that does something, by its words, with its whole help."""
    for command in of.registered_commands:
        yield (*above, str(command.name)), inspect.getdoc(command.callback) or ""
    for group in of.registered_groups:
        if group.typer_instance is not None:
            yield from _commands(group.typer_instance, (*above, str(group.name)))


_HELP = dict(_commands(app))
COMMANDS = sorted(_HELP)
"""Every command that does something."""


def examples_of(path: tuple[str, ...]) -> list[str]:
    """The examples in the help of a command, as they are pasted."""
    return [" ".join(example.split()) for example in re.findall(r"^Example: (.*(?:\n.+)*)", _HELP[path], re.MULTILINE)]
