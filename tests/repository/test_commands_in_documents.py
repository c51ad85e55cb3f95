"""Every `dualrun` line that a document shows is one its parser takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gateway.cli.exit_code import ExitCode
from tests.support.command_line import dualrun_at
from tests.support.processes import REPOSITORY

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PROCESSES = {"run", "demo", "gateway", "comparator", "migrate"}
"""They would start, or read what is not here; their own tests run them."""


def commands_in(document: Path) -> list[str]:
    """Whole lines of shell that begin with the command, continued ones joined."""
    blocks = re.findall(r"^```bash\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix(".venv/bin/") for line in lines if line.removeprefix(".venv/bin/").startswith("dualrun ")]


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if commands_in(document)], ids=lambda path: path.name)
def test_the_parser_takes_every_line(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("rules.yaml", "flags.yaml", "gate.yaml"):
        (tmp_path / name).write_text("version: 1\nflags: {}\n" if name == "flags.yaml" else "[]\n")
    (tmp_path / "config" / "rules").mkdir(parents=True)
    dualrun = dualrun_at("http://127.0.0.1:9")
    for line in commands_in(document):
        words = shlex.split(line, comments=True)[1:]
        if words[0] in PROCESSES:
            assert dualrun(*words, "--help").exit_code == 0, line
            continue
        ended = dualrun(*words)
        assert ended.exit_code == ExitCode.AWAY, f"{line}\n{ended.output}"
