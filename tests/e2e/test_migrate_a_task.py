"""docs/migrate-a-task.md, block by block, as a stranger pastes it into one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.support.processes import REPOSITORY, Process, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

TASK = "order.send_order_confirmation"
GUIDE = REPOSITORY / "docs" / "migrate-a-task.md"
ORDERS = 60


@dataclass
class Terminals:
    """One shell that remembers its variables, and the stack in a terminal beside it."""

    folder: Path
    port: int
    stack: ExitStack
    running: Process | None = None
    outputs: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paste(self, block: str) -> None:
        if block.startswith("dualrun run"):
            self._start(block.split()[2:])
            return
        if re.search(r"dualrun (report|flags (gate|promote)) ", block) and "--force" not in block:
            self._wait_until_judged()
        self._run(block.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}"), refused="# refused" in block)

    def _start(self, arguments: list[str]) -> None:
        """What Ctrl-C and the next command do in the other terminal."""
        if self.running is not None:
            self.running.stop()
        own = [argument.replace(".dualrun/", f"{self.folder}/") for argument in arguments]
        command = [sys.executable, "-m", "gateway.cli.main", "run", *own, "--port", str(self.port)]
        self.running = self.stack.enter_context(Process("dualrun run", command))
        self.running.wait_for_output("Ctrl-C stops and drains")

    def _run(self, block: str, *, refused: bool) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "DUALRUN_GATEWAY_URL": self.url, "COLUMNS": "200", "PATH": path}
        script = f"touch variables; . ./variables; {block}\ndeclare -p orders > variables 2>/dev/null || true"
        done = subprocess.run(["bash", "-ec", script], env=environment, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert (done.returncode != 0) is refused, (block, done.stdout, done.stderr)
        self.outputs.append(done.stdout + done.stderr)

    def _wait_until_judged(self) -> None:
        assert self.running is not None
        self.running.wait_until(lambda: judged(self.url) >= ORDERS, f"{ORDERS} orders judged")


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    with ExitStack() as stack:
        yield Terminals(tmp_path, free_port(), stack)


def blocks_of_the_guide() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def judged(url: str) -> int:
    tasks = httpx.get(f"{url}/v1/reports/shadow/{TASK}", params={"format": "json"}, timeout=20.0).json()["tasks"]
    return sum(sum(task["counts"].values()) for task in tasks)


def test_every_pasted_block_does_what_the_guide_says(terminals: Terminals) -> None:
    for block in blocks_of_the_guide():
        terminals.paste(block)
    said = iter(terminals.outputs)

    def until(block_says: str) -> str:
        """The output of the next block that says this; the guide's order is the story's."""
        return next((output for output in said if block_says in output), f"no block said {block_says!r}")

    assert re.search(r"authority\s+legacy", until("authority"))
    assert "/effects/email/to:*/text" in until("Shadow report")
    assert "not_proven" in until("The evidence does not allow the step")
    assert "canary 10 %: version" in until("canary 10 %: version")
    assert "not_proven" in until("rule 'staff' is a step forward")
    assert re.search(r"authority\s+events", until("by_rule, rule staff"))
    assert re.search(r"authority\s+events", until("events: version"))
    back = until("rolled back: version")
    assert re.search(r"authority\s+legacy", back)
    assert "the mail server does not like us" in back
    flag = httpx.get(f"{terminals.url}/v1/flags/{TASK}", timeout=20.0).json()
    assert (flag["mode"], flag["rules"], flag["cohort_path"]) == ("legacy", [], "args[1]")
