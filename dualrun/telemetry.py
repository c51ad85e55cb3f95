"""Traces: one tracer for every process, and the finished spans of each execution kept for comparing."""

from __future__ import annotations

import importlib
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes, AttributeValue

from dualrun.contracts import Role, Side
from dualrun.contracts.topology import HEADER_TRACEPARENT
from dualrun.execution_trace import SPANS_MAX, ExecutionTrace, trace_here
from dualrun.unexported_span import Parent, UnexportedSpan, parent_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = [
    "SPANS_MAX",
    "ExecutionTrace",
    "client_span",
    "comparison_span",
    "configure",
    "execution_span",
    "new_traceparent",
    "preload",
    "submission_span",
    "trace_id_of",
    "traceparent_here",
]

_NOWHERE = Context()
_propagator = TraceContextTextMapPropagator()


class _SdkWhenAsked(trace.TracerProvider):
    """Stands for the SDK's provider until somebody asks for a tracer, or anything else of it: most workers never do."""

    def __init__(self, service_name: str) -> None:
        self._service_name = service_name
        self._provider: TracerProvider | None = None
        self._lock = threading.Lock()

    @property
    def provider(self) -> TracerProvider:
        """The SDK's; imported now, if need be."""
        with self._lock:
            if self._provider is None:
                from dualrun import telemetry_sdk

                self._provider = telemetry_sdk.new_provider(self._service_name, _tracing.note_listener)
                _tracing.samples_all = telemetry_sdk.samples_all(self._provider)
            return self._provider

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace.Tracer:
        return self.provider.get_tracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)

    def __getattr__(self, name: str) -> object:
        return getattr(self.provider, name)


class _Tracing:
    """The process's tracer provider; set once, on first use."""

    def __init__(self) -> None:
        self.exports = False
        """Whether anybody but ourselves sees the spans of this process."""
        self.samples_all = True
        """Whether every trace is kept that did not come as one not to keep."""
        self._is_set = False
        self._tracer: trace.Tracer | None = None
        self._lock = threading.Lock()

    @property
    def is_light(self) -> bool:
        """Whether spans of our own will do: nobody sees them but ourselves."""
        return self.samples_all and not self.exports

    def note_listener(self) -> None:
        """Somebody else listens as well."""
        self.exports = True

    def set_up(self, service_name: str = "dualrun") -> None:
        if not self._is_set:
            with self._lock:
                if not self._is_set:
                    self._adopt_or_set(service_name)
                    self._is_set = True

    def tracer(self) -> trace.Tracer:
        self.set_up()
        if self._tracer is None:
            # Kept: the SDK makes a new tracer for every question.
            self._tracer = trace.get_tracer_provider().get_tracer("dualrun")
        return self._tracer

    def _adopt_or_set(self, service_name: str) -> None:
        if "opentelemetry.sdk.trace" in sys.modules:
            from dualrun import telemetry_sdk

            if telemetry_sdk.adopted(trace.get_tracer_provider()):
                # The worker's owner has set up tracing: their exporter and sampler stand, we only listen.
                self.exports = True
                return
        ours = _SdkWhenAsked(service_name)
        trace.set_tracer_provider(ours.provider if _needs_sdk() else ours)


_tracing = _Tracing()


def _needs_sdk() -> bool:
    """Whether it is there already, or the environment says anything of an exporter, a sampler, or the SDK switched off."""
    return "opentelemetry.sdk.trace" in sys.modules or any(name.startswith("OTEL_") for name in os.environ)


def preload() -> None:
    """Import what `configure` will need, and nothing else: before a fork, so that the processes share it."""
    if _needs_sdk():
        importlib.import_module("dualrun.telemetry_sdk")


def configure(service_name: str) -> None:
    """Set the process's tracer provider, once. A provider already set by somebody else is kept and listened to.

    Spans are exported by OTLP/HTTP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set and the extra `otlp` is installed. OpenTelemetry's SDK is
    imported where spans are exported, or as soon as somebody asks for a tracer.
    """
    _tracing.set_up(service_name)


def execution_span(task: str, *, traceparent: str | None, submission_id: str, side: Side, role: Role) -> ExecutionTrace:
    """A span `execute:{task}`, child of the W3C `traceparent`, around what runs in the trace it gives, which keeps the spans inside.

    It holds across awaits, and in threads that are given a copy of the context.
    """
    _tracing.set_up()
    kept = ExecutionTrace()
    name = f"execute:{task}"
    attributes: dict[str, AttributeValue] = {
        "dualrun.submission_id": submission_id,
        "dualrun.side": side.value,
        "dualrun.role": role.value,
        "dualrun.task": task,
    }
    parent = parent_of(traceparent)
    if _tracing.is_light and _is_kept(traceparent, parent):
        # The SDK's span, with its limits, locks and processors, costs more than everything else the runtime does for an event.
        kept.begin(UnexportedSpan(name, parent, attributes), kept.context_under(_NOWHERE))
        return kept
    above = _propagator.extract({HEADER_TRACEPARENT: traceparent}) if traceparent else Context()
    context = kept.context_under(above)
    root = _tracing.tracer().start_span(name, context=context, kind=trace.SpanKind.CONSUMER, attributes=attributes)
    kept.begin(root, context)
    return kept


def _is_kept(traceparent: str | None, parent: Parent | None) -> bool:
    """Whether it is known, and not asked to be left out. What is written otherwise, the SDK's propagator judges."""
    return traceparent is None if parent is None else parent[2]


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
def comparison_span(submission_id: str, task: str, traceparent: str | None) -> Iterator[Callable[[str], None]]:
    """A span `compare:{task}` in the submission's trace where spans are exported; the function it gives takes the verdict."""
    if not _tracing.exports:
        yield _unheard
        return
    parent = _propagator.extract({HEADER_TRACEPARENT: traceparent}) if traceparent else Context()
    attributes = {"dualrun.submission_id": submission_id, "dualrun.task": task}
    with _tracing.tracer().start_as_current_span(f"compare:{task}", context=parent, attributes=attributes) as span:
        yield partial(span.set_attribute, "dualrun.verdict")


def _unheard(_: str) -> None:
    """Nobody asked."""


@contextmanager
def client_span(name: str) -> Iterator[dict[str, str]]:
    """A span around a call to the outside; gives the trace headers to send with it."""
    _tracing.set_up()
    above = trace.get_current_span().get_span_context()
    if _tracing.is_light and above.is_valid and above.trace_flags.sampled:
        with _unexported_span(name, (f"{above.trace_id:032x}", f"{above.span_id:016x}", True)) as headers:
            yield headers
        return
    with _tracing.tracer().start_as_current_span(name, kind=trace.SpanKind.CLIENT, record_exception=False):
        headers = {}
        _propagator.inject(headers)
        yield headers


@contextmanager
def _unexported_span(name: str, parent: Parent) -> Iterator[dict[str, str]]:
    kept = trace_here()
    span = UnexportedSpan(name, parent, {}, trace.SpanKind.CLIENT)
    if kept is not None:
        kept.opened(span.span_id)
    token = otel_context.attach(trace.set_span_in_context(span))
    try:
        yield {HEADER_TRACEPARENT: f"00-{parent[0]}-{span.span_id}-01"}
    except Exception as exc:
        span.set_status(trace.StatusCode.ERROR, type(exc).__name__)
        raise
    finally:
        otel_context.detach(token)
        span.end()
        if kept is not None:
            kept.closed(span.span_id, span)


def traceparent_here() -> str | None:
    """The W3C `traceparent` of the span this code runs in; None where there is none."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers.get(HEADER_TRACEPARENT)


def trace_id_of(traceparent: str | None) -> str | None:
    """The id of the trace, as logs and trace stores name it."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None


def new_traceparent() -> str:
    """A W3C `traceparent` with random ids, sampled: for a submission that came without one."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
