"""What a Celery worker with capture tells of itself."""

from __future__ import annotations

import os
from pathlib import Path

from legacy_celery.worker_health import WorkerHealth

NOW_S = 1_000_000.0


def told(health: WorkerHealth) -> dict[str, float]:
    lines = [line for line in health.metrics().decode().splitlines() if not line.startswith("#")]
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_outcomes_that_wait_on_disk_are_counted_with_their_age(tmp_path: Path) -> None:
    health = WorkerHealth("shop", tmp_path, lambda: None, now_s=lambda: NOW_S)
    assert told(health)["dualrun_spool_oldest_seconds"] == 0
    for name, size, age_s in (("1-a", 10, 90), ("2-b", 5, 30), ("3-empty", 0, 500)):
        segment = tmp_path / f"{name}.spool"
        segment.write_bytes(b"x" * size)
        os.utime(segment, (NOW_S - age_s, NOW_S - age_s))
    (tmp_path / "4-new.new").write_bytes(b"not yet")
    seen = told(health)
    assert (seen["dualrun_spool_segments"], seen["dualrun_spool_bytes"], seen["dualrun_spool_oldest_seconds"]) == (2, 15, 90)


def test_a_spool_that_is_not_there_yet_is_an_empty_one(tmp_path: Path) -> None:
    assert told(WorkerHealth("shop", tmp_path / "none", lambda: None))["dualrun_spool_segments"] == 0
