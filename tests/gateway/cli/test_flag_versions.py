"""`dualrun flags history|show|diff|export|apply` against a running gateway."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.support.command_line import Dualrun
from tests.support.gateway_parts import TASK

FILE = "version: 1\nflags:\n  cart.merge: {mode: canary, events_percent: 0.5, safety: pure}\n  'order.*': {mode: events}\n"


@pytest.fixture
def flags(dualrun: Dualrun) -> Dualrun:
    return partial(dualrun, "flags")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_dry_run_shows_what_would_change_and_changes_nothing(flags: Dualrun, file: Path) -> None:
    ended = flags("apply", str(file), "--dry-run")
    assert (ended.exit_code, ended.stdout.splitlines()) == (
        0,
        ["+ cart.merge: mode canary, events_percent 0.5, safety pure", "+ order.*: mode events", "version 1 would follow"],
    )
    assert json.loads(flags("list", "--format", "json").stdout)["version"] == 0


def test_what_is_applied_is_exported_the_same_and_applying_it_again_changes_nothing(flags: Dualrun, file: Path, tmp_path: Path) -> None:
    assert "version 1 in force" in flags("apply", str(file), "--reason", "monday").stdout.splitlines()
    exported = tmp_path / "exported.yaml"
    assert flags("export", "-o", str(exported)).exit_code == 0
    again = flags("apply", str(exported))
    assert (again.exit_code, again.stdout.splitlines()) == (0, ["no flag differs", "version 1 in force"])
    (entry,) = json.loads(flags("history", "--format", "json").stdout)["versions"]
    assert (entry["source"], entry["reason"]) == ("cli", "monday")


def test_a_mistake_in_the_file_is_named_with_its_line_and_changes_nothing(flags: Dualrun, file: Path) -> None:
    file.write_text(FILE.replace("canary", "canry"), encoding="utf-8")
    ended = flags("apply", str(file))
    assert ended.exit_code == 2
    assert f"{file}:3:22: " in ended.output
    assert json.loads(flags("list", "--format", "json").stdout)["version"] == 0


def test_history_show_diff_and_an_old_export_tell_the_same_story(flags: Dualrun, file: Path) -> None:
    flags("apply", str(file))
    flags("set", "cart.merge", "--events-percent", "5", "--reason", "a good day")
    flags("set", "cart.merge", "--mode", "events")
    assert "a good day" in flags("history", "--limit", "2").stdout
    shown = flags("show", "2").stdout
    assert "changed since version 1:\n~ cart.merge: events_percent 0.5 -> 5.0\n" in shown
    assert "order.*" in shown
    assert flags("diff", "1", "3").stdout == "~ cart.merge: mode canary -> events, events_percent 0.5 -> 5.0\n"
    assert "events_percent: 0.5" in flags("export", "--version", "1").stdout


def test_a_version_shows_what_it_rests_on(flags: Dualrun) -> None:
    flags("set", TASK, "--mode", "shadow", "--shadow-percent", "100", "--safety", "pure", "--evidence", "mail 17")
    assert "it rests on mail 17" in flags("show", "1").stdout
    flags("promote", TASK, "--force", "--reason", "looked by hand")
    shown = flags("show", "2").stdout
    assert f"it rests on /v1/reports/shadow/{TASK}?flag_version=1" in shown
    assert "0 comparisons, 0 of them different" in shown
    assert "nothing was compared in this step" in shown
    flags("rollback", TASK)
    assert "rests on" not in flags("show", "3").stdout


def test_a_version_that_is_not_kept_exits_with_2(flags: Dualrun) -> None:
    ended = flags("show", "9")
    assert ended.exit_code == 2
    assert "no flag version 9 is kept" in ended.output


def test_cohorts_and_rules_are_set_shown_told_apart_and_exported(flags: Dualrun, dualrun: Dualrun, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("- {name: staff, when: [{path: attributes.tenant, operator: in, value: [acme]}], mode: events}\n", encoding="utf-8")
    flags("set", TASK, "--cohort-path", "args[1]")
    assert flags("set", TASK, "--rules", str(rules)).exit_code == 0
    assert "rules/staff - -> attributes.tenant in ['acme']: events" in flags("diff", "1", "2").stdout.replace("None", "-")
    submitted = dualrun("submit", TASK, "--args", '[42, "ann@example.org"]', "--attribute", "tenant=acme")
    assert "by_rule, rule staff" in submitted.stdout
    exported = tmp_path / "exported.yaml"
    flags("export", "-o", str(exported))
    assert flags("apply", str(exported)).stdout.startswith("no flag differs")
    kept = json.loads(flags("set", TASK, "--shadow-percent", "0", "--format", "json").stdout)
    assert (kept["cohort_path"], kept["rules"][0]["name"]) == ("args[1]", "staff")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: staff, when: [{path: headers.x, operator: exists}], mode: events}", "/rules/0/when/0/path"),
        ("- {name: staff, when: [{path: args, operator: exists}], mode: events}", "is a path such as args[0]"),
        ("- {name: staff, when: [{path: attributes.a, operator: like}], mode: events}", "like"),
        ("- {name: staff", "cannot be read"),
    ],
)
def test_a_mistake_in_the_rules_is_named_and_nothing_is_set(flags: Dualrun, tmp_path: Path, text: str, said: str) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(text, encoding="utf-8")
    ended = flags("set", TASK, "--rules", str(rules))
    assert ended.exit_code == 2
    assert said in ended.output
    assert json.loads(flags("list", "--format", "json").stdout)["version"] == 0
