"""Every command explains itself: in eighty columns, with an example that its parser takes."""

from __future__ import annotations

import shlex
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from gateway.cli.exit_code import ExitCode
from gateway.cli.main import app
from tests.support.command_line import COMMANDS, Dualrun, examples_of

PAGES = sorted({path[:length] for path in COMMANDS for length in range(len(path) + 1)})


@pytest.mark.parametrize("path", PAGES, ids=lambda path: " ".join(path) or "dualrun")
def test_every_command_explains_itself_in_eighty_columns(path: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert ended.exit_code == 0
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.endswith("...") and not line.startswith("Usage")] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_of_itself(path: tuple[str, ...]) -> None:
    examples = examples_of(path)
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[0] == "dualrun"
        assert tuple(words[1 : 1 + len(path)]) == path or path == ("task", "show")


def test_the_exit_codes_are_in_the_help() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout.split())
    assert all(f"{code.value} " in shown.split("Exit codes:")[1] for code in ExitCode)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_given_their_completion(shell: str) -> None:
    env = {"_DUALRUN_COMPLETE": f"complete_{shell}", "COMP_WORDS": "dualrun fl", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "dualrun fl"}
    ended = CliRunner().invoke(app, [], env={**env, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, prog_name="dualrun")
    assert "flags" in ended.stdout


def test_the_version_is_told_without_a_gateway(dualrun_of_nobody: Dualrun) -> None:
    told = dualrun_of_nobody("--version")
    assert (told.exit_code, told.output) == (0, f"dualrun {version('dualrun-gateway')}\n")
