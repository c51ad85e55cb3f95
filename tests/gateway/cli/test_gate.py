"""`dualrun flags gate|promote|hold` against a running gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Dualrun
from tests.support.gateway_parts import TASK


@pytest.fixture(autouse=True)
def gated(dualrun: Dualrun, tmp_path: Path) -> None:
    """The task in shadow, with a gate."""
    gate = tmp_path / "gate.yaml"
    gate.write_text("steps: [shadow 100 %, canary 1 %, events]\nmismatch_percent: 0.5\n")
    shadow = ("--mode", "shadow", "--shadow-percent", "100", "--safety", "pure")
    assert dualrun("flags", "set", TASK, *shadow, "--gate", str(gate), "--evidence", "report 5").exit_code == 0


def test_the_gate_says_what_is_still_to_be_proven(dualrun: Dualrun) -> None:
    shown = dualrun("flags", "gate", TASK).output
    assert "shadow 100 % since version 1" in shown
    assert "next step: canary 1 %; soak left: 3" in shown
    assert "mismatch" in shown
    assert json.loads(dualrun("flags", "gate", TASK, "--format", "json").output)["gate"]["mismatch_percent"] == 0.5
    assert '"steps": ["shadow 100 %"' in dualrun("flags", "get", TASK).output


def test_promotion_asks_for_evidence_or_for_force_and_a_reason(dualrun: Dualrun) -> None:
    refused = dualrun("flags", "promote", TASK)
    assert refused.exit_code != 0
    assert "has not proven itself" in refused.output
    assert dualrun("flags", "promote", TASK, "--force").exit_code == 2
    done = dualrun("flags", "promote", TASK, "--force", "--reason", "looked by hand")
    assert "canary 1 %: version 2 in force" in done.output
    assert "canary 1 %: version 2 in force" not in dualrun("flags", "promote", TASK, "--to", "shadow 100 %").output


def test_a_held_task_is_released_again(dualrun: Dualrun) -> None:
    assert "held False -> True" in dualrun("flags", "hold", TASK, "--reason", "stock-taking").output
    assert f"dualrun flags hold {TASK} --release" in dualrun("flags", "promote", TASK, "--force", "--reason", "go").output
    assert "held True -> False" in dualrun("flags", "hold", TASK, "--release").output


def test_flags_with_a_gate_are_written_and_applied_again_without_a_change(dualrun: Dualrun, tmp_path: Path) -> None:
    file = tmp_path / "flags.yaml"
    dualrun("flags", "export", "-o", str(file))
    assert "canary 1 %" in file.read_text()
    assert "no flag differs" in dualrun("flags", "apply", str(file), "--dry-run").output
