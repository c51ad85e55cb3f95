"""The table of docs/performance.md, made from runtime.json: the benchmark does so at its end, and with `--table` does nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["PAGE", "RESULTS", "refresh", "refreshed"]

RESULTS = Path(__file__).parent / "results" / "runtime.json"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_BEGIN, _END = "<!-- from runtime.json -->", "<!-- end -->"
_TASKS = {"bench.noop": "no-op", "bench.io": "10 ms of waiting", "bench.http": "HTTP call", "bench.cpu": "1 ms of computing"}
_OURS, _INBOX = "events", "events-inbox"


def refresh() -> None:
    """Write the table anew."""
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")


def refreshed(page: str, report: dict[str, Any]) -> str:
    """The page with the table of that report."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{_table(report)}{_END}{after}"


def _table(report: dict[str, Any]) -> str:
    machine, floor = report["machine"], report["floor"]
    where = f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, load before {report['load_average_before']:g}"
    alone = f"{floor['drained_per_s']:,.0f} messages/s to one consumer that only acks"
    waits = f"p50 {floor['p50_ms']:.2f} ms and p99 {floor['p99_ms']:.2f} ms at {floor['rate_per_s']:.0f}/s"
    rows = "\n".join(_rows(report))
    return f"""
Measured {report["measured_at"][:10]} on {where}. *Limit*: the ratio of a runtime that took no time at all.

| | Celery's best | event runtime | ratio | with the inbox |
|---|---|---|---|---|
{rows}

RabbitMQ by itself (`floor`): {alone}; {waits}.

"""


def _rows(report: dict[str, Any]) -> Iterator[str]:
    ratios, limits = report["ratios"], report.get("limits", {})
    for task, title in _TASKS.items():
        short = task.removeprefix("bench.")
        runs = {name: max(run["per_s"] for run in of_side) for name, of_side in report["saturation"][task].items()}
        celery = max(value for name, value in runs.items() if name.startswith("celery"))
        inbox = f"{runs[_INBOX]:,.0f}/s" if _INBOX in runs else ""
        yield f"| {title}: throughput | {celery:,.0f}/s | {runs[_OURS]:,.0f}/s | **{ratios[f'{short}_throughput']:.1f}** | {inbox} |"
        for quantile in ("p50", "p99"):
            paced = {name: seen[f"{quantile}_ms"] for name, seen in report["latency"][task].items()}
            celery = min(value for name, value in paced.items() if name.startswith("celery"))
            name = f"{short}_latency_{quantile}"
            limit = f", limit {limits[name]:.1f}" if name in limits else ""
            inbox = f"{paced[_INBOX]:.2f} ms" if _INBOX in paced else ""
            yield f"| {title}: {quantile} | {celery:.2f} ms | {paced[_OURS]:.2f} ms | **{ratios[name]:.1f}**{limit} | {inbox} |"
    noop = report["saturation"]["bench.noop"]
    cpu = {name: min(run["cpu_s_per_1000"] for run in of_side) for name, of_side in noop.items()}
    memory = {name: min(run["memory_mib"]["pss"] for run in of_side) for name, of_side in noop.items()}
    for title, values, unit, ratio in (
        ("processor time of 1,000 no-ops", cpu, "s", ratios["cpu_per_task"]),
        ("memory, all processes (PSS)", memory, "MiB", ratios["memory"]),
    ):
        celery = min(value for name, value in values.items() if name.startswith("celery"))
        digits = 3 if unit == "s" else 0
        shown = [f"{value:.{digits}f} {unit}" for value in (celery, values[_OURS], values[_INBOX])]
        yield f"| {title} | {shown[0]} | {shown[1]} | **{ratio:.1f}** | {shown[2]} |"
