"""OpenTelemetry's SDK, set up to hand each finished span to its execution. Imported where spans are exported, or users make their own."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Collection

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON

from dualrun.execution_trace import ExecutionTrace, trace_here

__all__ = ["Collecting", "adopted", "new_provider", "samples_all"]

log = logging.getLogger(__name__)


class Collecting(SpanProcessor):
    """Hands each finished span to the execution in whose context it was started."""

    def __init__(self) -> None:
        self._open: dict[int | str, ExecutionTrace] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        found = (None if parent_context is None else trace_here(parent_context)) or trace_here()
        if found is not None:
            self._open[span.context.span_id] = found
            found.opened(span.context.span_id, self.forget)

    def on_end(self, span: ReadableSpan) -> None:
        found = self._open.pop(span.context.span_id, None) if span.context is not None else None
        if found is not None and span.context is not None:
            found.closed(span.context.span_id, span)

    def forget(self, span_ids: Collection[int | str]) -> None:
        """Spans still open when their execution ended would be kept for ever otherwise."""
        for span_id in span_ids:
            self._open.pop(span_id, None)


class _Provider(TracerProvider):
    """Ours, until somebody adds a processor: then spans are theirs to see too."""

    def __init__(self, resource: Resource, on_listener: Callable[[], None]) -> None:
        super().__init__(resource=resource)
        self._on_listener = on_listener

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        super().add_span_processor(span_processor)
        if not isinstance(span_processor, Collecting):
            self._on_listener()


def new_provider(service_name: str, on_listener: Callable[[], None]) -> TracerProvider:
    """A provider that collects, and exports where `OTEL_EXPORTER_OTLP_ENDPOINT` is set. `on_listener`: somebody else listens as well."""
    provider = _Provider(Resource.create({SERVICE_NAME: service_name}), on_listener)
    provider.add_span_processor(Collecting())
    _add_exporter(provider)
    return provider


def adopted(provider: trace.TracerProvider) -> bool:
    """Listen to a provider that somebody else has set; False where none is."""
    if not isinstance(provider, TracerProvider):
        return False
    provider.add_span_processor(Collecting())
    return True


def samples_all(provider: TracerProvider) -> bool:
    """Whether every trace is kept that did not come as one not to keep."""
    # A tracer of another class is that of an SDK switched off.
    return isinstance(provider.get_tracer("dualrun"), Tracer) and provider.sampler is DEFAULT_ON


def _add_exporter(provider: TracerProvider) -> None:
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    if importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        log.warning("otlp_exporter_not_installed", extra={"extra_needed": "dualrun[otlp]"})
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
