"""Rules that are added to a file people write."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from gateway.core.errors import RulesElsewhere, RulesRejected
from gateway.rules import load_rules, parse_rules
from gateway.rules.addition import with_rules
from gateway.rules.files import FolderOfRules

RULE = {"id": "cents", "path": "/value/total", "owner": "shop", "reason": "Rounds later.", "expires": date(2027, 1, 31)}
TASK = "shop.charge"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# by hand\n",
        "ignore: # noise\n  # the first\n  - {id: a, path: /value/a, owner: o, reason: r}\n",
        "ignore:\n- id: a\n  path: /value/a\n  owner: o\n  reason: r\nunordered:\n- {id: t, path: /value, owner: o, reason: r}\n",
        "error_messages: true",
    ],
)
def test_what_was_there_stays_and_the_rule_is_read_beside_it(text: str) -> None:
    added = with_rules(text, "ignore", [RULE], "f")
    before, after = parse_rules(f"{text}\nstates: {{}}", "f"), parse_rules(added, "f")
    assert {rule.id for rule in after.ignore} == {rule.id for rule in before.ignore} | {"cents"}
    assert (after.unordered, after.error_messages) == (before.unordered, before.error_messages)
    assert all(line in added for line in text.splitlines())
    assert with_rules(added, "ignore", [RULE], "f") == added


@pytest.mark.parametrize("text", ["ignore: []\n", "ignore:\n  - {id: broken}\n", "ignore: {\n"])
def test_a_file_that_cannot_take_it_is_refused(text: str) -> None:
    with pytest.raises(RulesRejected):
        with_rules(text, "ignore", [RULE], "f")


def test_a_rule_is_saved_once_and_comparators_read_it(tmp_path: Path) -> None:
    folder = FolderOfRules(tmp_path)
    assert asyncio.run(folder.add(TASK, "ignore", RULE)) == str(tmp_path / f"{TASK}.yaml")
    assert load_rules(tmp_path).for_task(TASK).ignore[0].expires == date(2027, 1, 31)
    with pytest.raises(RulesElsewhere, match="already"):
        asyncio.run(folder.add(TASK, "ignore", RULE))


@pytest.mark.parametrize("task", ["../evil", "/etc/passwd", "_default", ".hidden", "a/b", "a\nb", ""])
def test_no_name_of_a_task_leads_out_of_the_folder(tmp_path: Path, task: str) -> None:
    folder = FolderOfRules(tmp_path)
    assert folder.place(task) is None
    with pytest.raises(RulesElsewhere):
        asyncio.run(folder.add(task, "ignore", RULE))
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_the_rule_is_still_there_to_be_copied(tmp_path: Path) -> None:
    for folder in (FolderOfRules(None), FolderOfRules(tmp_path / "absent")):
        assert folder.place(TASK) is None
        assert parse_rules(folder.text("ignore", RULE), "f").ignore[0].id == "cents"
