"""What the runtime benchmark starts, and the page it writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.runtime_sides import Workers
from benchmarks.runtime_table import refreshed

TASKS = ("noop", "io", "http", "cpu")
SIDES = {"celery-prefork": 400.0, "celery-threads": 500.0, "events": 6_000.0, "events-inbox": 4_000.0}
RUNS = {name: [{"per_s": per_s, "cpu_s_per_1000": 100 / per_s, "memory_mib": {"pss": 40.0}}] for name, per_s in SIDES.items()}
REPORT = {
    "measured_at": "2026-01-02T03:04:05+00:00",
    "machine": {"cores": 2, "processor": "a processor", "python": "3.11"},
    "load_average_before": 0.1,
    "floor": {"drained_per_s": 9_000.0, "rate_per_s": 250.0, "p50_ms": 0.5, "p99_ms": 1.0},
    "limits": {"noop_latency_p50": 2.0, "noop_latency_p99": 3.0},
    "ratios": {
        **{f"{task}_{what}": 12.0 for task in TASKS for what in ("throughput", "latency_p50", "latency_p99")},
        "memory": 2.5,
        "cpu_per_task": 9.0,
    },
    "saturation": {f"bench.{task}": RUNS for task in TASKS},
    "latency": {f"bench.{task}": {name: {"p50_ms": 1.0, "p99_ms": 2.0} for name in SIDES} for task in TASKS},
}
PAGE = "# Title\n\nbefore\n\n<!-- from runtime.json -->\nold\n<!-- end -->\n\nafter\n"


def test_the_table_is_of_the_report_and_the_rest_of_the_page_stays() -> None:
    page = refreshed(PAGE, REPORT)
    assert page.startswith("# Title\n\nbefore\n")
    assert page.endswith("<!-- end -->\n\nafter\n")
    assert "old" not in page
    assert "| no-op: throughput | 500/s | 6,000/s | **12.0** | 4,000/s |" in page
    assert "| no-op: p50 | 1.00 ms | 1.00 ms | **12.0**, limit 2.0 | 1.00 ms |" in page
    assert refreshed(page, REPORT) == page


def test_workers_start_without_the_callers_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DUALRUN_REDIS_URL", "redis://somewhere")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    seen = tmp_path / "seen.json"
    program = f"import json, os, pathlib; pathlib.Path({str(seen)!r}).write_text(json.dumps(dict(os.environ)))"
    workers = Workers([[sys.executable, "-c", program]], {"DUALRUN_AMQP_URL": "amqp://given"})
    psutil.wait_procs(workers.processes(), timeout=30)
    workers.stop()
    environment = json.loads(seen.read_text(encoding="utf-8"))
    assert environment["DUALRUN_AMQP_URL"] == "amqp://given"
    assert not {"DUALRUN_REDIS_URL", "PYTHONDONTWRITEBYTECODE"} & set(environment)
