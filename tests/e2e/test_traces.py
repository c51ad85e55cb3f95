"""One trace from the caller through the gateway to both sides and their comparison, exported with the metrics where an endpoint is set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.processes import free_port
from tests.support.stack import CeleryCommand, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.services]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


class Collector:
    """As much of an OpenTelemetry collector as says what it was sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: set[str] = set()
        self.url = ""

    def of_trace(self, trace: str) -> dict[str, Span]:
        """Its spans by name and role."""
        found = {}
        for span in list(self.spans):
            if span.trace_id.hex() == trace:
                attributes = {attribute.key: attribute.value.string_value for attribute in span.attributes}
                found[" ".join(filter(None, (span.name, attributes.get("dualrun.side"), attributes.get("dualrun.role"))))] = span
        return found


@contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/metrics":
                told = ExportMetricsServiceRequest.FromString(body)
                collector.metrics |= {
                    m.name for resource in told.resource_metrics for scope in resource.scope_metrics for m in scope.metrics
                }
            else:
                request = ExportTraceServiceRequest.FromString(body)
                collector.spans += [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_both_sides_run_in_the_callers_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
        worker_port = free_port()
        celery = CeleryCommand(env={"DUALRUN_METRICS_PORT": str(worker_port)})
        with running_stack(tmp_path, celery=celery) as stack, httpx.Client(base_url=stack.url, timeout=40.0) as gateway:
            flag = {"mode": "shadow", "shadow_percent": 100, "safety": "pure"}
            gateway.put("/v1/flags/learning.add", json=flag).raise_for_status()
            headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
            gateway.post("/v1/tasks", json={"task": "learning.add", "args": [2, 3]}, headers=headers).raise_for_status()
            executions = {"execute:learning.add legacy authority", "execute:learning.add events shadow"}
            names = {"submit:learning.add", *executions, "compare:learning.add"}
            stack.gateway.wait_until(lambda: names <= set(collector.of_trace(TRACE)), f"{names} exported")
            metrics = {"dualrun_submissions_accepted_total", "dualrun_comparator_pairs_compared_total"}
            stack.gateway.wait_until(lambda: metrics <= collector.metrics, f"{metrics} exported")
            told = httpx.get(f"http://127.0.0.1:{worker_port}/metrics", timeout=20.0).text
            assert 'dualrun_capture_received_total{service="shop"} 1' in told
    spans = collector.of_trace(TRACE)
    submit = spans["submit:learning.add"]
    assert submit.parent_span_id.hex() == CALLER
    assert {spans[name].parent_span_id for name in executions} == {submit.span_id}
    verdicts = [
        attribute.value.string_value for attribute in spans["compare:learning.add"].attributes if attribute.key == "dualrun.verdict"
    ]
    assert verdicts == ["equal"]
