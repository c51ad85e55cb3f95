"""`dualrun rollback` against a running gateway."""

from __future__ import annotations

import json

import pytest

from tests.support.command_line import Dualrun, dualrun_at


def test_a_task_goes_back_and_a_second_rollback_says_there_was_nothing_to_do(dualrun: Dualrun) -> None:
    dualrun("flags", "set", "cart.merge", "--mode", "events")
    first, second = (dualrun("rollback", "cart.merge", "--reason", "mails twice") for _ in range(2))
    counts = "in flight so far: 0 redirected, 0 scheduled, 0 already started; repeat the command to look again\n"
    assert first.stdout == f"~ cart.merge: mode events -> legacy\nrolled back: version 2 in force\n{counts}"
    assert (second.exit_code, second.stdout) == (0, f"nothing to change: it is so already, at version 2\n{counts}")
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
    assert dualrun_at("http://127.0.0.1:9")("rollback", "--all").exit_code == 3
