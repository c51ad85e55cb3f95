"""Where `dualrun run` takes its flags and rules from: options, else the environment, else the usual places."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from tests.support.processes import REPOSITORY, Process, free_port

RUN = [sys.executable, "-m", "gateway.cli.main", "run"]


def _flags_in_force(place: Path, env: dict[str, str], *options: str) -> dict[str, str]:
    port = free_port()
    command = [*RUN, "--port", str(port), *options]
    with Process("dualrun run", command, env={"PYTHONPATH": str(REPOSITORY), **env}, cwd=place) as running:
        running.wait_for_output("Ctrl-C stops and drains")
        flags = httpx.get(f"http://127.0.0.1:{port}/v1/flags", timeout=10.0).raise_for_status().json()["flags"]
        return {task: flag["mode"] for task, flag in flags.items()}


def test_options_beat_the_environment_and_that_beats_the_usual_places(tmp_path: Path) -> None:
    (tmp_path / "config" / "rules").mkdir(parents=True)
    for name, task in (("config/flags.yaml", "usual.place"), ("environment.yaml", "environment.says"), ("option.yaml", "option.says")):
        (tmp_path / name).write_text(f"version: 1\nflags: {{{task}: {{mode: legacy}}}}\n")
    env = {"DUALRUN_FLAGS_FILE": "environment.yaml"}
    assert _flags_in_force(tmp_path, {}) == {"usual.place": "legacy"}
    assert _flags_in_force(tmp_path, env) == {"environment.says": "legacy"}
    assert _flags_in_force(tmp_path, env, "--flags-file", "option.yaml") == {"option.says": "legacy"}


def test_rules_are_read_where_the_environment_says(tmp_path: Path) -> None:
    rules = tmp_path / "elsewhere"
    rules.mkdir()
    (rules / "learning.add.yaml").write_text("no rules: at all\n")
    env = {"PYTHONPATH": str(REPOSITORY), "DUALRUN_RULES_DIR": str(rules)}
    with Process("dualrun run", [*RUN, "--port", "0"], env=env, cwd=tmp_path) as refused:
        refused.wait_for_output(r"learning\.add\.yaml:1")
