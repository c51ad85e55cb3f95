"""Prometheus metrics of one gateway process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dualrun.contracts import Decision, Mode
from gateway.core.flags import Flag, percent_of
from gateway.core.ports import FlagStore
from gateway.usecases.redirect_work import Whereto
from gateway.usecases.shadow_lane import ShadowCounts

__all__ = ["CountsCollector", "Metrics", "registry_of", "serving_counts"]


class Metrics:
    """Counts what passes through; a registry of its own, so that several gateways fit in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._accepted = Counter(
            "dualrun_submissions_accepted", "Submissions accepted", ["task", "mode", "authority", "shadow"], registry=self.registry
        )
        self._refused = Counter("dualrun_submissions_refused", "Submissions refused, by problem code", ["code"], registry=self.registry)
        self._rollbacks = Counter("dualrun_rollbacks", "Rollbacks made by this process", ["source"], registry=self.registry)
        self._promotions = Counter("dualrun_promotions", "Steps forward made by this process", ["source"], registry=self.registry)
        self._redirected = Counter(
            "dualrun_redirects", "Messages a flag change recalled, by what became of them", ["whereto"], registry=self.registry
        )
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

    def redirected(self, whereto: Whereto) -> None:
        """One more recalled message dealt with."""
        self._redirected.labels(whereto.value).inc()

    def rolled_back(self, source: str) -> None:
        """One more change that took tasks back: a rollback, or a promotion to a step before."""
        self._rollbacks.labels(source).inc()

    def promoted(self, source: str) -> None:
        """One more step forward, by promotion or by a rollback to a version further on."""
        self._promotions.labels(source).inc()

    def watch_flags(self, flags: FlagStore) -> None:
        """Show where each flag stands."""
        self.register(_FlagCollector(flags))

    def watch_shadows(self, counts: ShadowCounts) -> None:
        """Show what became of shadow work."""
        names = ("published", "shed", "failed")
        self.register(CountsCollector("dualrun_shadow", lambda: {name: getattr(counts, name) for name in names}))

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a value read at each scrape."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def register(self, collector: Collector) -> None:
        """Show what it collects at each scrape."""
        self.registry.register(collector)

    def expose(self) -> bytes:
        """The text format Prometheus scrapes."""
        return generate_latest(self.registry)


class _FlagCollector(Collector):
    """Mode and exposure of every flag, read at each scrape."""

    def __init__(self, flags: FlagStore) -> None:
        self._flags = flags

    def collect(self) -> Iterator[Metric]:
        modes = GaugeMetricFamily("dualrun_flag_mode", "Mode of a flag, 1 for its present one", labels=["task", "mode"])
        events = GaugeMetricFamily("dualrun_flag_events_percent", "Cohort keys the events side answers", labels=["task"])
        observed = GaugeMetricFamily("dualrun_flag_shadow_percent", "Cohort keys also run as a shadow", labels=["task"])
        for name, flag in self._flags.snapshot.flags.items():
            for mode in Mode:
                modes.add_metric([name, mode.value], float(mode is flag.mode))
            events.add_metric([name], _answered_percent(flag))
            observed.add_metric([name], percent_of(flag.shadow_share) if flag.shadows else 0.0)
        yield from (modes, events, observed)


class CountsCollector(Collector):
    """Numbers that only grow, read at each scrape; each a counter named after the prefix."""

    def __init__(self, prefix: str, counts: Callable[[], Mapping[str, int]]) -> None:
        self._prefix = prefix
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        for name, number in self._counts().items():
            counter = CounterMetricFamily(f"{self._prefix}_{name}", name.replace("_", " "))
            counter.add_metric([], number)
            yield counter


def _answered_percent(flag: Flag) -> float:
    """By the flag itself; what its rules send elsewhere is not counted."""
    if flag.mode is Mode.CANARY:
        return percent_of(flag.events_share)
    return 100.0 if flag.mode in (Mode.MIRROR, Mode.EVENTS) else 0.0


def registry_of(counts: Callable[[], Mapping[str, int]], *collectors: Collector) -> CollectorRegistry:
    """What a comparator tells."""
    registry = CollectorRegistry()
    for collector in (CountsCollector("dualrun_comparator", counts), *collectors):
        registry.register(collector)
    return registry


@contextmanager
def serving_counts(host: str, port: int | None, registry: CollectorRegistry) -> Iterator[None]:
    """Counts of a process that serves no HTTP of its own, for Prometheus and health checks; nothing where the port is None."""
    if port is None:
        yield
        return
    server, thread = start_http_server(port, host, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
