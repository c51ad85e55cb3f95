"""What `/metrics` tells, pushed by OTLP as well where an endpoint is set: one set of numbers, two ways out.

Names, labels and meanings are Prometheus's, so that alert rules and dashboard hold for both; a histogram goes out as its counters.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics.export import MetricReader

__all__ = ["bridged", "exporting_metrics"]

log = logging.getLogger(__name__)

_LAST_EXPORT_MS = 2_000
"""A collector that is away must not hold up the end of a process."""
_SNAPSHOT_S = 1.0
"""How long one look at the registry serves: an export asks instrument by instrument."""


@contextmanager
def exporting_metrics(service_name: str, registry: CollectorRegistry) -> Iterator[None]:
    """While the block runs; does nothing where `OTEL_EXPORTER_OTLP_ENDPOINT` is not set. The interval is OpenTelemetry's own setting."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        yield
        return
    if importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        log.warning("otlp_exporter_not_installed", extra={"extra_needed": "dualrun-gateway[otlp]"})
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    stop = bridged(service_name, registry, PeriodicExportingMetricReader(OTLPMetricExporter()))
    try:
        yield
    finally:
        stop()


def bridged(service_name: str, registry: CollectorRegistry, reader: MetricReader) -> Callable[[], None]:
    """Let the reader see every metric the registry has now; gives the function that ends it, after a last export."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    # Not the process's global provider: that is its owner's to set.
    provider = MeterProvider([reader], resource=Resource.create({SERVICE_NAME: service_name}))
    meter = provider.get_meter("dualrun")
    snapshot = _Snapshot(registry)
    for family in registry.collect():
        for name, is_counter in _samples_of(family):
            make = meter.create_observable_counter if is_counter else meter.create_observable_gauge
            make(name, callbacks=[partial(_observed, snapshot, name)], description=family.documentation)
    return partial(provider.shutdown, timeout_millis=_LAST_EXPORT_MS)


class _Snapshot:
    """The registry's samples by name, as of a moment ago."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._samples: dict[str, list[tuple[float, dict[str, str]]]] = {}
        self._until_s = 0.0

    def of(self, name: str) -> list[tuple[float, dict[str, str]]]:
        if time.monotonic() >= self._until_s:
            self._samples = {}
            for family in self._registry.collect():
                for sample in family.samples:
                    self._samples.setdefault(sample.name, []).append((sample.value, sample.labels))
            self._until_s = time.monotonic() + _SNAPSHOT_S
        return self._samples.get(name, [])


def _samples_of(family: Metric) -> Iterator[tuple[str, bool]]:
    """The names of the samples a family gives, and whether they only grow."""
    match family.type:
        case "counter":
            yield f"{family.name}_total", True
        case "histogram":
            yield from ((f"{family.name}{suffix}", True) for suffix in ("_bucket", "_count", "_sum"))
        case _:
            yield family.name, False


def _observed(snapshot: _Snapshot, name: str, _: CallbackOptions) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation

    return [Observation(value, labels) for value, labels in snapshot.of(name)]
