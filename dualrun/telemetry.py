"""Traces: one tracer for every process, and the finished spans of each execution kept for comparing."""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dualrun.contracts import JsonValue, Role, Side, SpanRecord
from dualrun.contracts.topology import HEADER_TRACEPARENT

__all__ = [
    "SPANS_MAX",
    "ExecutionTrace",
    "client_span",
    "configure",
    "execution_span",
    "new_traceparent",
    "submission_span",
    "traceparent_here",
]

log = logging.getLogger(__name__)

SPANS_MAX = 200
_ATTRIBUTES_MAX = 32
_TEXT_MAX = 256
_NS_PER_MS = 1e6
_COLLECTOR = otel_context.create_key("dualrun-execution")
_propagator = TraceContextTextMapPropagator()


class ExecutionTrace:
    """The spans of one execution. `spans` and `dropped` are complete once its context manager has been left."""

    __slots__ = ("_ended", "_lock", "_open", "_root", "dropped", "spans")

    def __init__(self) -> None:
        self.spans: tuple[SpanRecord, ...] = ()
        self.dropped = 0
        """Spans beyond `SPANS_MAX`, and those not ended when the execution was."""
        self._ended: list[ReadableSpan] = []
        self._open: set[int] = set()
        self._root: trace.Span | None = None
        self._lock = threading.Lock()

    def failed(self, kind: str) -> None:
        """The execution ended with an error of that kind, where none was raised through the context manager."""
        if self._root is not None:
            self._root.set_status(trace.StatusCode.ERROR, kind)

    def _add(self, span: ReadableSpan) -> None:
        # The execution's own span ends last, and its place is kept.
        is_root = self._root is not None and span.context == self._root.get_span_context()
        with self._lock:
            if len(self._ended) < SPANS_MAX - (not is_root):
                self._ended.append(span)
            else:
                self.dropped += 1


class _Collecting(SpanProcessor):
    """Hands each finished span to the execution in whose context it was started."""

    def __init__(self) -> None:
        self._open: dict[int, ExecutionTrace] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        found = otel_context.get_value(_COLLECTOR, parent_context) or otel_context.get_value(_COLLECTOR)
        if isinstance(found, ExecutionTrace):
            self._open[span.context.span_id] = found
            found._open.add(span.context.span_id)  # noqa: SLF001 - the two classes are one mechanism

    def on_end(self, span: ReadableSpan) -> None:
        collector = self._open.pop(span.context.span_id, None) if span.context is not None else None
        if collector is not None and span.context is not None:
            collector._open.discard(span.context.span_id)  # noqa: SLF001 - as above
            collector._add(span)  # noqa: SLF001 - as above

    def forget(self, collector: ExecutionTrace) -> int:
        """Spans still open when their execution ended would be kept for ever otherwise. Says how many there were."""
        left = list(collector._open)  # noqa: SLF001 - as above
        for span_id in left:
            self._open.pop(span_id, None)
        return len(left)


class _Tracing:
    """The provider in use and our processor in it; made once a process, on first use."""

    def __init__(self) -> None:
        self.processor = _Collecting()
        self.exports = False
        """Whether anybody but ourselves sees the spans of this process."""
        self._tracer: trace.Tracer | None = None
        self._lock = threading.Lock()

    def tracer(self, service_name: str = "dualrun") -> trace.Tracer:
        if self._tracer is None:
            with self._lock:
                # Kept: the SDK makes a new tracer for every question.
                self._tracer = self._tracer or self._adopt_or_make(service_name).get_tracer("dualrun")
        return self._tracer

    def _adopt_or_make(self, service_name: str) -> TracerProvider:
        present = trace.get_tracer_provider()
        if isinstance(present, TracerProvider):
            # The worker's owner has set up tracing: their exporter and sampler stand, we only listen.
            present.add_span_processor(self.processor)
            self.exports = True
            return present
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service_name}))
        provider.add_span_processor(self.processor)
        self.exports = _add_exporter(provider)
        trace.set_tracer_provider(provider)
        return provider


_tracing = _Tracing()


def configure(service_name: str) -> None:
    """Set the process's tracer provider, once. A provider already set by somebody else is kept and listened to.

    Spans are exported by OTLP/HTTP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set and the extra `otlp` is installed.
    """
    _tracing.tracer(service_name)


@contextmanager
def execution_span(task: str, *, traceparent: str | None, submission_id: str, side: Side, role: Role) -> Iterator[ExecutionTrace]:
    """A span `execute:{task}`, child of the W3C `traceparent`; what is spanned inside is kept in the trace it gives.

    It holds across awaits, and in threads that are given a copy of the context.
    """
    collected = ExecutionTrace()
    parent = _propagator.extract({HEADER_TRACEPARENT: traceparent}) if traceparent else Context()
    context = otel_context.set_value(_COLLECTOR, collected, parent)
    span = _tracing.tracer().start_span(
        f"execute:{task}",
        context=context,
        kind=trace.SpanKind.CONSUMER,
        attributes={
            "dualrun.submission_id": submission_id,
            "dualrun.side": side.value,
            "dualrun.role": role.value,
            "dualrun.task": task,
        },
    )
    collected._root = span  # noqa: SLF001 - the two are one mechanism
    token = otel_context.attach(trace.set_span_in_context(span, context))
    try:
        yield collected
    except BaseException as exc:
        collected.failed(type(exc).__name__)
        raise
    finally:
        otel_context.detach(token)
        span.end()
        collected.dropped += _tracing.processor.forget(collected)
        collected.spans = _records(collected._ended)  # noqa: SLF001 - as above


@contextmanager
def submission_span(name: str, traceparent: str | None) -> Iterator[str]:
    """The W3C `traceparent` under which both sides run a submission.

    A span `submit:{name}` of its own, child of the caller's, where spans are exported; otherwise the caller's, or a new one: a span
    nobody sees would cost more than the whole decision.
    """
    if not _tracing.exports:
        yield traceparent or new_traceparent()
        return
    parent = _propagator.extract({HEADER_TRACEPARENT: traceparent}) if traceparent else Context()
    with _tracing.tracer().start_as_current_span(f"submit:{name}", context=parent, kind=trace.SpanKind.PRODUCER):
        yield traceparent_here() or new_traceparent()


@contextmanager
def client_span(name: str) -> Iterator[dict[str, str]]:
    """A span around a call to the outside; gives the trace headers to send with it."""
    with _tracing.tracer().start_as_current_span(name, kind=trace.SpanKind.CLIENT, record_exception=False):
        headers: dict[str, str] = {}
        _propagator.inject(headers)
        yield headers


def traceparent_here() -> str | None:
    """The W3C `traceparent` of the span this code runs in; None where there is none."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers.get(HEADER_TRACEPARENT)


def new_traceparent() -> str:
    """A W3C `traceparent` with random ids, sampled: for a submission that came without one."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def _add_exporter(provider: TracerProvider) -> bool:
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return False
    if importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        log.warning("otlp_exporter_not_installed", extra={"extra_needed": "dualrun[otlp]"})
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return True


def _records(ended: list[ReadableSpan]) -> tuple[SpanRecord, ...]:
    ordered = sorted(ended, key=lambda span: span.start_time or 0)
    start_ns = min((span.start_time or 0 for span in ordered), default=0)
    return tuple(_record(span, start_ns) for span in ordered)


def _record(span: ReadableSpan, start_ns: int) -> SpanRecord:
    begun_ns = span.start_time or start_ns
    return SpanRecord(
        name=span.name[:_TEXT_MAX],
        span_id=f"{span.context.span_id:016x}" if span.context else "",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        kind=span.kind.name.lower(),
        offset_ms=(begun_ns - start_ns) / _NS_PER_MS,
        duration_ms=((span.end_time or begun_ns) - begun_ns) / _NS_PER_MS,
        status=span.status.status_code.name.lower(),
        attributes=_attributes(span.attributes or {}),
    )


def _attributes(attributes: Mapping[str, object]) -> dict[str, JsonValue]:
    kept: dict[str, JsonValue] = {}
    for name, value in list(attributes.items())[:_ATTRIBUTES_MAX]:
        kept[name] = value if isinstance(value, bool | int | float) else str(value)[:_TEXT_MAX]
    return kept
