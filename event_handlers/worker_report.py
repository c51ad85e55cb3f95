"""What a worker process tells about itself, and what several say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from dualrun.exposition import Family, Sample, exposition

__all__ = ["WorkerReport", "metrics_text", "total"]

Counts = dict[str, dict[str, int]]


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """One process at one moment. Counts are from its start."""

    is_ready: bool = False
    """It consumes."""
    running: dict[str, int] = msgspec.field(default_factory=dict)
    """Handlers at work, by role."""
    waiting: dict[str, int] = msgspec.field(default_factory=dict)
    """Deliveries in hand that wait for their turn, by role."""
    counts: Counts = msgspec.field(default_factory=dict)
    """Deliveries by role and by what became of them."""
    seconds: dict[str, tuple[int, float]] = msgspec.field(default_factory=dict)
    """By task: attempts, and how long they took together."""
    breakers: dict[str, int] = msgspec.field(default_factory=dict)
    """Circuits by name: 0 closed, 1 half open, 2 open."""

    def ended(self) -> WorkerReport:
        """What remains of it once the process is gone: its counts."""
        return msgspec.structs.replace(self, is_ready=False, running={}, waiting={}, breakers={})


def total(reports: Iterable[WorkerReport]) -> WorkerReport:
    """All of them as one; ready when each is."""
    running: dict[str, int] = {}
    waiting: dict[str, int] = {}
    counts: Counts = {}
    seconds: dict[str, tuple[int, float]] = {}
    breakers: dict[str, int] = {}
    ready = True
    for report in reports:
        ready = ready and report.is_ready
        _add(running, report.running)
        _add(waiting, report.waiting)
        for role, by_result in report.counts.items():
            _add(counts.setdefault(role, {}), by_result)
        for task, (attempts, spent_s) in report.seconds.items():
            before = seconds.get(task, (0, 0.0))
            seconds[task] = before[0] + attempts, before[1] + spent_s
        for name, state in report.breakers.items():
            breakers[name] = max(state, breakers.get(name, state))
    return WorkerReport(is_ready=ready, running=running, waiting=waiting, counts=counts, seconds=seconds, breakers=breakers)


def _add(sums: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        sums[name] = sums.get(name, 0) + number


def metrics_text(report: WorkerReport, *, service: str, processes: int, restarts: int) -> bytes:
    """What Prometheus scrapes."""
    at = {"service": service}
    by_result = [
        Sample(number, {**at, "role": role, "result": result})
        for role, results in sorted(report.counts.items())
        for result, number in sorted(results.items())
    ]
    attempts = [
        Sample(value, {**at, "task": task}, suffix)
        for task, (count, spent_s) in sorted(report.seconds.items())
        for suffix, value in (("_count", count), ("_sum", spent_s))
    ]
    breakers = [Sample(state, {**at, "breaker": name}) for name, state in sorted(report.breakers.items())]
    return exposition(
        [
            Family("dualrun_events_total", "counter", "Deliveries by what became of them", by_result),
            Family("dualrun_events_running", "gauge", "Handlers at work", _by_role(report.running, at)),
            Family("dualrun_events_waiting", "gauge", "Deliveries in hand that wait for their turn", _by_role(report.waiting, at)),
            Family("dualrun_handler_seconds", "summary", "How long attempts took", attempts),
            Family("dualrun_breaker_state", "gauge", "Circuits: 0 closed, 1 half open, 2 open; of several processes the worst", breakers),
            Family("dualrun_worker_processes", "gauge", "Worker processes there are", [Sample(processes, at)]),
            Family(
                "dualrun_worker_restarts_total", "counter", "Worker processes that ended and were started again", [Sample(restarts, at)]
            ),
        ]
    )


def _by_role(numbers: Mapping[str, int], at: Mapping[str, str]) -> list[Sample]:
    return [Sample(number, {**at, "role": role}) for role, number in sorted(numbers.items())]
