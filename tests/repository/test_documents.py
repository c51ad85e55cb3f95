"""What the documents say about the repository is true."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.processes import REPOSITORY

DOCUMENTS = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
DECISIONS = sorted(REPOSITORY.glob("docs/adr/*.md"))
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_repository_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(document: Path) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", document.read_text(), re.MULTILINE))
    assert named - TARGETS == set()


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.name)
def test_a_decision_has_a_status_and_says_what_was_rejected_on_one_screen(decision: Path) -> None:
    text = decision.read_text()
    assert text.startswith(f"# {decision.name[:4]}. ")
    assert re.search(r"^Status: (proposed|accepted|superseded by \d{4})\b", text, re.MULTILINE)
    assert re.findall(r"^## (\w+)", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Rejected"]
    assert len(text.splitlines()) <= 50


def test_every_make_target_explains_itself() -> None:
    shown = subprocess.run(["make", "--no-print-directory"], cwd=REPOSITORY, capture_output=True, text=True, timeout=30)
    assert {target for target in TARGETS if f"make {target} " not in shown.stdout} == set()


def test_hooks_call_make_targets() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {hook["entry"].split()[-1] for hook in hooks} <= TARGETS


def test_the_proof_runs_the_tests_and_the_checks() -> None:
    script = REPOSITORY / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.findall(r"^section \w+ make --no-print-directory (?:--keep-going )?(\w+)$", script.read_text(), re.MULTILINE) == [
        "test",
        "check",
    ]
