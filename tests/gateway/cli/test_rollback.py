"""`dualrun rollback` against a running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
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


@pytest.fixture
def dualrun() -> Iterator[Dualrun]:
    with running_gateway() as server:
        env = {"DUALRUN_GATEWAY_URL": server.url, "COLUMNS": "200"}
        yield lambda *arguments: CliRunner().invoke(app, list(arguments), env=env)


def test_a_task_goes_back_and_a_second_rollback_says_there_was_nothing_to_do(dualrun: Dualrun) -> None:
    dualrun("flags", "set", "cart.merge", "--mode", "events")
    first, second = (dualrun("rollback", "cart.merge", "--reason", "mails twice") for _ in range(2))
    assert first.stdout == "~ cart.merge: mode events -> legacy\nrolled back: version 2 in force\n"
    assert (second.exit_code, second.stdout) == (0, "nothing to change: it is so already, at version 2\n")
    newest = json.loads(dualrun("flags", "history", "--format", "json").stdout)["versions"][0]
    assert (newest["reason"], newest["source"]) == ("mails twice", "cli")


def test_a_task_and_everything_go_to_a_version(dualrun: Dualrun) -> None:
    for percent in ("1", "2"):
        dualrun("flags", "set", "cart.merge", "--mode", "canary", "--events-percent", percent)
        dualrun("flags", "set", "order.*", "--mode", "canary", "--events-percent", percent)
    assert json.loads(dualrun("rollback", "cart.merge", "--to", "2", "--format", "json").stdout)["changed"] is True
    dualrun("rollback", "--all", "--to", "1")
    assert set(json.loads(dualrun("flags", "list", "--format", "json").stdout)["flags"]) == {"cart.merge"}
    dualrun("rollback", "--all")
    assert json.loads(dualrun("flags", "get", "cart.merge", "--format", "json").stdout)["mode"] == "legacy"


@pytest.mark.parametrize("arguments", [[], ["cart.merge", "--all"]])
def test_one_task_or_all_has_to_be_named(dualrun: Dualrun, arguments: list[str]) -> None:
    assert dualrun("rollback", *arguments).exit_code == 2


def test_a_misspelt_task_does_not_pass_for_rolled_back(dualrun: Dualrun) -> None:
    dualrun("flags", "set", "cart.merge", "--mode", "events")
    ended = dualrun("rollback", "cart.merg")
    assert ended.exit_code == 2
    assert "did you mean cart.merge?" in ended.output


def test_without_a_gateway_it_exits_with_3() -> None:
    assert CliRunner().invoke(app, ["rollback", "--all", "--url", "http://127.0.0.1:9"]).exit_code == 3
