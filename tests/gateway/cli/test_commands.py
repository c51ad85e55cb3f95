"""The command line against a running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.support.gateway_parts import TASK
from tests.support.gateway_server import running_gateway


class Ended(Protocol):
    """As much of a run as the tests look at."""

    @property
    def exit_code(self) -> int: ...
    @property
    def output(self) -> str: ...
    @property
    def stdout(self) -> str: ...


Dualrun = Callable[..., Ended]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_gateway() as server:
        yield server.url


@pytest.fixture
def dualrun(url: str) -> Dualrun:
    return lambda *arguments: CliRunner().invoke(app, list(arguments), env={"DUALRUN_GATEWAY_URL": url, "COLUMNS": "80"})


def test_a_submitted_task_can_be_shown(dualrun: Dualrun) -> None:
    ended = dualrun("submit", TASK, "--args", '[42, "ann@example.org"]', "--format", "json")
    assert ended.exit_code == 0
    accepted = json.loads(ended.stdout)
    assert accepted["decision"]["authority"] == "legacy"


def test_a_refused_task_exits_with_2_and_names_the_nearest(dualrun: Dualrun) -> None:
    ended = dualrun("submit", "order.send_confirmation")
    assert ended.exit_code == 2
    assert TASK in ended.output


def test_arguments_that_are_no_json_are_named(dualrun: Dualrun) -> None:
    ended = dualrun("submit", TASK, "--args", "[42,")
    assert ended.exit_code == 2
    assert "--args" in ended.output


def test_setting_a_flag_keeps_what_is_not_named(dualrun: Dualrun) -> None:
    assert dualrun("flags", "set", TASK, "--mode", "shadow", "--shadow-percent", "5", "--safety", "sandboxed").exit_code == 0
    assert dualrun("flags", "set", TASK, "--shadow-percent", "0.001").exit_code == 0
    flag = json.loads(dualrun("flags", "get", TASK, "--format", "json").stdout)
    assert (flag["mode"], flag["shadow_percent"], flag["safety"]) == ("shadow", 0.001, "sandboxed")
    assert TASK in dualrun("flags", "list").stdout


def test_an_unsafe_shadow_is_refused_with_the_reason(dualrun: Dualrun) -> None:
    ended = dualrun("flags", "set", "order.other", "--mode", "shadow", "--shadow-percent", "100")
    assert ended.exit_code == 2
    assert "unsafe_shadow" in ended.output


@pytest.mark.parametrize("format_", ["markdown", "json", "html"])
def test_the_report_is_written_to_a_file(dualrun: Dualrun, tmp_path: Path, format_: str) -> None:
    target = tmp_path / "report"
    assert dualrun("report", "--format", format_, "--output", str(target)).exit_code == 0
    assert "report" in target.read_text(encoding="utf-8").casefold() or format_ == "json"
    if format_ == "json":
        assert json.loads(target.read_text(encoding="utf-8"))["tasks"] == []


def test_without_a_gateway_it_says_what_to_do_and_exits_with_3() -> None:
    ended = CliRunner().invoke(app, ["flags", "list", "--url", "http://127.0.0.1:9"])
    assert ended.exit_code == 3
    assert "dualrun run" in ended.output


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["run"],
        ["demo"],
        ["gateway"],
        ["comparator"],
        ["submit"],
        ["task"],
        ["flags"],
        ["flags", "set"],
        ["flags", "history"],
        ["flags", "apply"],
        ["rollback"],
        ["report"],
    ],
)
def test_every_command_explains_itself_in_eighty_columns(command: list[str]) -> None:
    ended = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert ended.exit_code == 0
    assert max(len(line) for line in ended.stdout.splitlines()) <= 80
