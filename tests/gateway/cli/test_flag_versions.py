"""`dualrun flags history|show|diff|export|apply` against a running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.support.gateway_server import running_gateway

FILE = "version: 1\nflags:\n  cart.merge: {mode: canary, events_percent: 0.5, safety: pure}\n  'order.*': {mode: events}\n"


class Ended(Protocol):
    """As much of a run as the tests look at."""

    @property
    def exit_code(self) -> int: ...
    @property
    def output(self) -> str: ...
    @property
    def stdout(self) -> str: ...


Flags = Callable[..., Ended]


@pytest.fixture
def flags() -> Iterator[Flags]:
    with running_gateway() as server:
        env = {"DUALRUN_GATEWAY_URL": server.url, "COLUMNS": "200"}
        yield lambda *arguments: CliRunner().invoke(app, ["flags", *arguments], env=env)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_dry_run_shows_what_would_change_and_changes_nothing(flags: Flags, file: Path) -> None:
    ended = flags("apply", str(file), "--dry-run")
    assert (ended.exit_code, ended.stdout.splitlines()) == (
        0,
        ["+ cart.merge: mode canary, events_percent 0.5, safety pure", "+ order.*: mode events", "version 1 would follow"],
    )
    assert json.loads(flags("list", "--format", "json").stdout)["version"] == 0


def test_what_is_applied_is_exported_the_same_and_applying_it_again_changes_nothing(flags: Flags, file: Path, tmp_path: Path) -> None:
    assert flags("apply", str(file), "--reason", "monday").stdout.splitlines()[-1] == "version 1 in force"
    exported = tmp_path / "exported.yaml"
    assert flags("export", "-o", str(exported)).exit_code == 0
    again = flags("apply", str(exported))
    assert (again.exit_code, again.stdout.splitlines()) == (0, ["no flag differs", "version 1 in force"])
    (entry,) = json.loads(flags("history", "--format", "json").stdout)["versions"]
    assert (entry["source"], entry["reason"]) == ("cli", "monday")


def test_a_mistake_in_the_file_is_named_with_its_line_and_changes_nothing(flags: Flags, file: Path) -> None:
    file.write_text(FILE.replace("canary", "canry"), encoding="utf-8")
    ended = flags("apply", str(file))
    assert ended.exit_code == 2
    assert f"{file}:3:22: " in ended.output
    assert json.loads(flags("list", "--format", "json").stdout)["version"] == 0


def test_history_show_diff_and_an_old_export_tell_the_same_story(flags: Flags, file: Path) -> None:
    flags("apply", str(file))
    flags("set", "cart.merge", "--events-percent", "5", "--reason", "a good day")
    flags("set", "cart.merge", "--mode", "events")
    assert "a good day" in flags("history", "--limit", "2").stdout
    shown = flags("show", "2").stdout
    assert "changed since version 1:\n~ cart.merge: events_percent 0.5 -> 5.0\n" in shown
    assert "order.*" in shown
    assert flags("diff", "1", "3").stdout == "~ cart.merge: mode canary -> events, events_percent 0.5 -> 5.0\n"
    assert "events_percent: 0.5" in flags("export", "--version", "1").stdout


def test_a_version_that_is_not_kept_exits_with_2(flags: Flags) -> None:
    ended = flags("show", "9")
    assert ended.exit_code == 2
    assert "no flag version 9 is kept" in ended.output
