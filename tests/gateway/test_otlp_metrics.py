"""What Prometheus is told goes out by OTLP too, number by number."""

from __future__ import annotations

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.otlp_metrics import bridged


def seen(reader: InMemoryMetricReader) -> dict[str, list[tuple[float, dict[str, object]]]]:
    data = reader.get_metrics_data()
    assert data is not None
    metrics = [metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics]
    return {metric.name: [(point.value, dict(point.attributes or {})) for point in metric.data.data_points] for metric in metrics}  # type: ignore[union-attr]  # sums and gauges


def test_counters_gauges_and_histograms_go_out_under_their_names_with_their_labels() -> None:
    registry = CollectorRegistry()
    accepted = Counter("accepted", "Accepted", ["task"], registry=registry)
    Gauge("version", "Version", registry=registry).set(7)
    submit = Histogram("submit_seconds", "Time", registry=registry, buckets=(0.1, 1.0))
    reader = InMemoryMetricReader()
    stop = bridged("dualrun-gateway", registry, reader)
    accepted.labels("a.b").inc(3)
    submit.observe(0.5)
    told = seen(reader)
    stop()
    assert told["accepted_total"] == [(3, {"task": "a.b"})]
    assert told["version"] == [(7, {})]
    assert told["submit_seconds_count"] == [(1, {})]
    assert (0, {"le": "0.1"}) in told["submit_seconds_bucket"]
    assert (1, {"le": "1.0"}) in told["submit_seconds_bucket"]
