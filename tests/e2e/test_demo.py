"""`dualrun demo` and `dualrun run` as a stranger uses them: one command, no server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.processes import REPOSITORY, Process, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

DUALRUN = [sys.executable, "-m", "gateway.cli.main"]


def test_the_demonstration_finds_every_planted_fault_and_raises_no_false_alarm() -> None:
    done = subprocess.run([*DUALRUN, "demo", "--once", "--format", "json"], capture_output=True, text=True, cwd=REPOSITORY, timeout=280)
    assert done.returncode == 0, done.stderr[-4_000:]
    shown = json.loads(done.stdout)
    assert shown["submitted"] >= 500
    assert shown["accepted"] == shown["paired"] == shown["submitted"]
    assert (shown["missing"], shown["false_alarms"], shown["faithful_different"]) == (0, 0, 0)
    assert shown["planted_found"] == shown["planted"] >= 6
    assert shown["same"] + shown["different"] == shown["paired"]


def test_run_serves_the_printed_lines_and_stops_cleanly(tmp_path: Path) -> None:
    port = free_port()
    with Process("dualrun run", [*DUALRUN, "run", "--port", str(port), "--state-dir", str(tmp_path), "--faulty"]) as running:
        running.wait_for_output("Ctrl-C stops and drains")
        for line in ("curl -X PUT", "curl -X POST", "/v1/reports/shadow"):
            assert line in running.output
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20.0) as gateway:
            flag = {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed"}
            gateway.put("/v1/flags/order.send_order_confirmation", json=flag).raise_for_status()
            task = {"task": "order.send_order_confirmation", "args": [42, "ann@example.org"]}
            accepted = gateway.post("/v1/tasks", json=task).raise_for_status().json()
            result = gateway.get(f"/v1/tasks/{accepted['id']}/result", params={"wait_s": 15})
            assert result.json()["state"] == "succeeded"

            def compared() -> bool:
                return gateway.get(f"/v1/tasks/{accepted['id']}").json()["comparison"] is not None

            running.wait_until(compared, "comparison")
            report = gateway.get("/v1/reports/shadow", params={"format": "markdown"}).text
        assert "order.send" in report
        assert running.stop() == 0
        assert "worked off" in running.output
        assert "Traceback" not in running.output
