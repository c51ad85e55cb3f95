"""What commands print: documents for programs, tables for people, plain when piped."""

from __future__ import annotations

import io
import json
import sys

import pytest
import typer
import yaml

from gateway.cli.output import Format, print_table, show
from tests.support.command_line import COMMANDS, Dualrun

PROCESSES = {("run",), ("gateway",), ("comparator",)}


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in PROCESSES], ids=" ".join)
def test_every_command_that_answers_has_a_format(dualrun_of_nobody: Dualrun, path: tuple[str, ...]) -> None:
    assert "--format" in dualrun_of_nobody(*path, "--help").stdout


@pytest.mark.parametrize("command", [("flags", "list"), ("flags", "history"), ("differences", "list"), ("report",)])
def test_json_and_yaml_say_the_same(dualrun: Dualrun, command: tuple[str, ...]) -> None:
    as_json = json.loads(dualrun(*command, "--format", "json").stdout)
    as_yaml = yaml.safe_load(dualrun(*command, "--format", "yaml").stdout)
    for view in (as_json, as_yaml):
        view.pop("generated_at", None)
    assert as_json == as_yaml


def test_a_piped_table_has_neither_colour_nor_folded_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_table(("task", "stands"), [("t" * 100, "differs"), (None, 3)])
    assert capsys.readouterr().out == f"{'task':<100}  stands\n{'t' * 100}  differs\n{'':<100}  3\n"


def test_a_terminal_gets_colour_within_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    for name, value in (("COLUMNS", "40"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", screen)
    print_table(("task", "stands"), [("t" * 60, "differs")])
    text = screen.getvalue()
    assert "\x1b[1;31mdiffers" in text
    assert len(text.splitlines()) > 2


def test_documents_are_for_programs_and_the_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show({"a": "ü"}, Format.JSON, lambda: typer.echo("table"))
    assert json.loads(capsys.readouterr().out) == {"a": "ü"}
    show({"a": "ü"}, Format.TABLE, lambda: typer.echo("table"))
    assert capsys.readouterr().out == "table\n"
