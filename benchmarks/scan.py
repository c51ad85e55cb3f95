"""`dualrun migrate scan` on 100,000 generated lines, advice included: seconds, and the memory of a process that does nothing else.

The lines are 1,000 modules of one package: tasks with options and constants from elsewhere, callers, canvas, plain functions.
Run: `python -m benchmarks.scan`.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.machine import machine
from gateway.migrate import read_path, report_of

RESULTS = Path(__file__).parent / "results" / "scan.json"
MODULES = 1_000
LINES_PER_MODULE = 100
TARGET_S = 60
TARGET_MIB = 1_024
MODULE = """from celery import chain, shared_task
from big.limits import LIMITS, QUEUE
from big.m{before} import work_{before}


@shared_task(bind=True, name=f"big.{{QUEUE}}.{number}", queue=QUEUE, **LIMITS)
def work_{number}(self, key: int, note: str = "none"):
    if key:
        work_{before}.delay(key - 1)
    chain(work_{before}.s(1), work_{before}.si(2)).apply_async(countdown=5)
    raise self.retry(countdown=3)
"""
PLAIN = """

def plain_{index}(rows, limit=10):
    found = {{}}
    for row in rows[:limit]:
        key = (row["id"], row.get("name", "").strip().lower())
        if key not in found and row["amount"] * {index} > 100:
            found[key] = [row["amount"], f"{{row['id']}}-{{limit}}"]
    return sorted(found.items())
"""


def main() -> None:
    """Generate, scan in a process of its own, print, write the JSON."""
    with tempfile.TemporaryDirectory() as folder:
        lines = _generate(Path(folder) / "big")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            elapsed_s, peak_mib, tasks, call_sites = pool.apply(_measure, (folder,))
    assert (tasks, call_sites) == (MODULES, MODULES * 5), (tasks, call_sites)
    row = {"lines": lines, "tasks": tasks, "call_sites": call_sites, "elapsed_s": round(elapsed_s, 2), "peak_mib": round(peak_mib)}
    report = {"machine": machine(), "target_s": TARGET_S, "target_mib": TARGET_MIB, **row}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{lines} lines, {tasks} tasks, {call_sites} call sites: {elapsed_s:.1f} s of {TARGET_S}, {peak_mib:.0f} MiB of {TARGET_MIB}")


def _generate(package: Path) -> int:
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "limits.py").write_text('QUEUE = "slow"\nLIMITS = {"max_retries": 3, "time_limit": 60 * 5}\n', encoding="utf-8")
    lines = 0
    for number in range(MODULES):
        text = MODULE.format(number=number, before=(number - 1) % MODULES)
        index = 0
        while text.count("\n") < LINES_PER_MODULE:
            index += 1
            text += PLAIN.format(index=index)
        lines += text.count("\n")
        (package / f"m{number}.py").write_text(text, encoding="utf-8")
    return lines


def _measure(folder: str) -> tuple[float, float, int, int]:
    started = time.perf_counter()
    scan = report_of(read_path(Path(folder))).reading.scan
    elapsed_s = time.perf_counter() - started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return elapsed_s, peak_mib, scan.totals.tasks, scan.totals.call_sites


if __name__ == "__main__":
    main()
