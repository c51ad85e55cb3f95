"""The README's first migration, line by line, as a stranger pastes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.processes import REPOSITORY, Process, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TASK = "order.send_order_confirmation"


def blocks_of_the_first_migration() -> list[str]:
    """What is to be pasted, but for starting the stack, which the test does on a port of its own."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    chapter = text.split("## A first migration")[1].split("\n## ")[0]
    return [block for block in re.findall(r"```bash\n(.*?)```", chapter, re.DOTALL) if not block.startswith("make ")]


def test_every_pasted_block_does_what_the_text_says(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gateway.cli.main", "run", "--port", str(port), "--state-dir", str(tmp_path), "--faulty"]
    environment = {**os.environ, "DUALRUN_GATEWAY_URL": url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with Process("dualrun run", command) as running, httpx.Client(base_url=url, timeout=20.0) as gateway:
        running.wait_for_output("Ctrl-C stops and drains")
        outputs = {}
        for block in blocks_of_the_first_migration():
            if "/v1/reports" in block:
                running.wait_until(lambda: judged(gateway) == 21, "21 orders judged")
            pasted = block.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace(".venv/bin/", "")
            done = subprocess.run(["bash", "-euc", pasted], env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, (block, done.stdout, done.stderr)
            outputs[block] = done.stdout
        report = next(output for block, output in outputs.items() if "format=markdown" in block)
        for path in ("/value/total", "/effects/email/to:*/text", "/notifications/body/total"):
            assert path in report
        flag = gateway.get(f"/v1/flags/{TASK}").json()
        assert (flag["mode"], flag["safety"]) == ("legacy", "sandboxed")


def judged(gateway: httpx.Client) -> int:
    tasks = gateway.get("/v1/reports/shadow", params={"format": "json"}).json()["tasks"]
    return sum(sum(task["counts"].values()) for task in tasks if task["task"] == TASK)
