"""The command line against a running gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from gateway.cli.client import GatewayClient
from gateway.cli.main import app
from tests.support.command_line import Dualrun, dualrun_at
from tests.support.gateway_parts import TASK
from tests.support.gateway_server import running_gateway


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_gateway() as server:
        yield server.url


@pytest.fixture
def dualrun(url: str) -> Dualrun:
    return dualrun_at(url, columns=80)


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


def test_a_task_under_a_glob_starts_from_what_is_in_force_for_it_and_says_that_it_has_a_flag_of_its_own(
    dualrun: Dualrun, tmp_path: Path
) -> None:
    gate = tmp_path / "gate.yaml"
    gate.write_text("{steps: [shadow 100 %, events], soak_s: 7}", encoding="utf-8")
    given = ("--safety", "pure", "--cohort-path", "args[1]", "--salt", "s", "--gate", str(gate), "--on-worker-loss", "rollback")
    assert dualrun("flags", "set", "stock.*", *given).exit_code == 0
    assert dualrun("flags", "hold", "stock.*").exit_code == 0
    glob = json.loads(dualrun("flags", "get", "stock.count", "--format", "json").stdout)
    ended = dualrun("flags", "set", "stock.count", "--shadow-delay-s", "5", "--format", "json")
    assert "stock.count had the flag of stock.*; from now on it has one of its own" in " ".join(ended.stderr.split())
    own = json.loads(dualrun("flags", "get", "stock.count", "--format", "json").stdout)
    assert {name for name in own if own[name] != glob[name]} == {"task", "version", "shadow_delay_s"}
    assert (own["held"], own["salt"], own["gate"]["soak_s"]) == (True, "s", 7)
    assert dualrun("flags", "set", "stock.count", "--shadow-delay-s", "4").stderr == ""


def test_a_gate_stays_unless_it_is_taken_away_by_name(dualrun: Dualrun, tmp_path: Path) -> None:
    gate = tmp_path / "gate.yaml"
    gate.write_text("{steps: [canary 1 %, events]}", encoding="utf-8")
    assert dualrun("flags", "set", "order.gated", "--gate", str(gate)).exit_code == 0
    kept = json.loads(dualrun("flags", "set", "order.gated", "--cohort-path", "args[0]", "--format", "json").stdout)
    assert kept["gate"]["steps"] == ["canary 1 %", "events"]
    assert "is no file" in dualrun("flags", "set", "order.gated", "--gate", str(tmp_path / "none.yaml")).output.replace("\n", " ")
    assert json.loads(dualrun("flags", "set", "order.gated", "--gate", "null", "--format", "json").stdout)["gate"] is None


def test_an_unsafe_shadow_is_refused_with_the_reason(dualrun: Dualrun) -> None:
    ended = dualrun("flags", "set", "order.other", "--mode", "shadow", "--shadow-percent", "100")
    assert ended.exit_code == 2
    assert "unsafe_shadow" in ended.output


@pytest.mark.parametrize("format_", ["markdown", "json", "yaml", "table", "html", "csv", "junit"])
def test_the_report_is_written_to_a_file(dualrun: Dualrun, tmp_path: Path, format_: str) -> None:
    target = tmp_path / "report"
    assert dualrun("report", "--format", format_, "--output", str(target)).exit_code == 0
    text = target.read_text(encoding="utf-8")
    assert "report" in text.casefold() or format_ in {"json", "yaml", "csv", "junit"}
    if format_ in {"json", "yaml"}:
        assert yaml.safe_load(text)["tasks"] == []


def test_without_a_gateway_it_says_what_to_do_and_exits_with_3() -> None:
    ended = CliRunner().invoke(app, ["flags", "list", "--url", "http://127.0.0.1:9"])
    assert ended.exit_code == 3
    assert "dualrun run" in ended.output


def test_an_unknown_submission_is_neither_shown_nor_cancelled(dualrun: Dualrun) -> None:
    for command in (["task", "nobody"], ["task", "show", "nobody"], ["task", "cancel", "nobody"]):
        ended = dualrun(*command)
        assert ended.exit_code == 2, command
        assert "not_found" in ended.output


def test_cancelling_says_what_each_side_was_asked(dualrun: Dualrun, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        {"side": "legacy", "role": "authority", "asked": True, "detail": "told to revoke it"},
        {"side": "events", "role": None, "asked": False, "detail": "Redis out of reach"},
    ]
    calls: list[tuple[str, str]] = []

    def call(_: GatewayClient, method: str, path: str) -> httpx.Response:
        calls.append((method, path))
        return httpx.Response(202, json={"id": "s-1", "asked": asked})

    monkeypatch.setattr(GatewayClient, "call", call)
    ended = dualrun("task", "cancel", "s-1")
    assert (ended.exit_code, calls) == (0, [("DELETE", "/v1/tasks/s-1")])
    assert all(said in ended.output for said in ("told to revoke it", "Redis out of reach", "yes", "no"))


def test_commands_start_without_what_only_migrate_needs() -> None:
    loaded = "import sys, gateway.cli.main; print(sorted({'jinja2', 'gateway.migrate', 'sqlalchemy'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"


def test_the_doctor_looks_at_the_installation_and_at_this_machine(dualrun: Dualrun) -> None:
    ended = dualrun("doctor", "--format", "json")
    view = json.loads(ended.stdout)
    seen = {found["what"]: found["level"] for found in view["findings"]}
    assert {"this command", "clock of this machine", "queue arguments", "queues of shop", "workers of legacy", "workers of events"} <= set(
        seen
    )
    assert (seen["this command"], seen["queue arguments"]) == ("fine", "fine")
    assert ended.exit_code == (0 if view["ready"] else 1)
    assert "Python" in dualrun("doctor").stdout
