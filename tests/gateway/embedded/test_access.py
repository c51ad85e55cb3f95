"""Everything in one process asks for no token unless it is told to, and then as a server does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.embedded.stack import EmbeddedOptions
from gateway.settings import AccessMode
from tests.support.processes import REPOSITORY, free_port


@pytest.mark.parametrize("said", [None, "", "auto", "off", "required"])
def test_only_required_turns_access_control_on(monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    monkeypatch.delenv("DUALRUN_ACCESS", raising=False)
    if said is not None:
        monkeypatch.setenv("DUALRUN_ACCESS", said)
    assert EmbeddedOptions().access is AccessMode.OFF
    assert EmbeddedOptions.from_env().access is (AccessMode.REQUIRED if said == "required" else AccessMode.OFF)


def test_a_process_nobody_could_log_in_to_does_not_start_and_says_what_to_set(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("DUALRUN_ADMIN_TOKEN")}
    run = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "run", "--port", str(free_port())],
        env={**env, "PYTHONPATH": str(REPOSITORY), "DUALRUN_ACCESS": "required"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, "Set DUALRUN_ADMIN_TOKEN" in run.stderr, "Traceback" in run.stderr) == (2, True, False)
