"""Prometheus metrics of one gateway process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server

from dualrun.contracts import Decision
from gateway.usecases.shadow_lane import ShadowCounts

__all__ = ["Metrics", "serving_counts"]


class Metrics:
    """Counts what passes through; a registry of its own, so that several gateways fit in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._accepted = Counter(
            "dualrun_submissions_accepted", "Submissions accepted", ["task", "mode", "authority", "shadow"], registry=self.registry
        )
        self._refused = Counter("dualrun_submissions_refused", "Submissions refused, by problem code", ["code"], registry=self.registry)
        self.submit_seconds = Histogram(
            "dualrun_submit_seconds",
            "Time from request to confirmed 202",
            registry=self.registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

    def accepted(self, task: str, decision: Decision) -> None:
        """One more submission accepted."""
        self._accepted.labels(
            task, decision.mode.value, decision.authority.value, decision.shadow.value if decision.shadow else "none"
        ).inc()

    def refused(self, code: str) -> None:
        """One more submission refused."""
        self._refused.labels(code).inc()

    def watch_shadows(self, counts: ShadowCounts) -> None:
        """Show what became of shadow work."""
        for name in ("published", "shed", "failed"):
            gauge = Gauge(f"dualrun_shadow_{name}_total", f"Shadow work {name} by this process", registry=self.registry)
            gauge.set_function(_reader(counts, name))

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a value read at each scrape."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def expose(self) -> bytes:
        """The text format Prometheus scrapes."""
        return generate_latest(self.registry)


def _reader(counts: ShadowCounts, name: str) -> Callable[[], float]:
    return lambda: float(getattr(counts, name))


@contextmanager
def serving_counts(host: str, port: int | None, counts: Callable[[], Mapping[str, int]]) -> Iterator[None]:
    """Counts of a process that serves no HTTP of its own, for Prometheus and health checks; nothing where the port is None."""
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    for name in counts():
        Gauge(f"dualrun_{name}", name.replace("_", " "), registry=registry).set_function(_counter(counts, name))
    server, thread = start_http_server(port, host, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _counter(counts: Callable[[], Mapping[str, int]], name: str) -> Callable[[], float]:
    return lambda: float(counts()[name])
