"""The finished spans of one execution, kept for comparing: written with OpenTelemetry's API alone, whoever makes the spans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextvars import Token
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from dualrun.contracts import JsonObject, JsonValue, SpanRecord
from dualrun.unexported_span import UnexportedSpan

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["SPANS_MAX", "ExecutionTrace", "trace_here"]

SPANS_MAX = 200
_ATTRIBUTES_MAX = 32
_TEXT_MAX = 256
_NS_PER_MS = 1e6
_NUMBERS = (bool, int, float)
_STATUSES = {code: code.name.lower() for code in trace.StatusCode}
_KINDS = {kind: kind.name.lower() for kind in trace.SpanKind}
_TRACE = otel_context.create_key("dualrun-execution")
_NOWHERE = Context()


class ExecutionTrace:
    """The spans of one execution. `spans` and `dropped` are complete once it has been left as a context manager."""

    __slots__ = ("_context", "_ended", "_forget", "_lock", "_open", "_root", "_token", "dropped", "spans")

    def __init__(self) -> None:
        self.spans: tuple[SpanRecord, ...] = ()
        self.dropped = 0
        """Spans beyond `SPANS_MAX`, and those not ended when the execution was."""
        self._ended: list[ReadableSpan | UnexportedSpan] = []
        self._open: set[int | str] = set()
        self._root: trace.Span | None = None
        self._context = _NOWHERE
        self._token: Token[Context] | None = None
        self._lock = threading.Lock()
        self._forget: Callable[[Collection[int | str]], None] | None = None

    def __enter__(self) -> ExecutionTrace:
        self._token = otel_context.attach(self._context)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is not None:
            self.failed(kind.__name__)
        if self._token is not None:
            otel_context.detach(self._token)
        if self._root is not None:
            self._root.end()
        if self._open:
            with self._lock:
                left, self._open = self._open, set()
            self.dropped += len(left)
            if self._forget is not None:
                self._forget(left)
        self.spans = _records(self._root, self._ended)
        # It holds this trace: a cycle an event would keep the garbage collector at work.
        self._context = _NOWHERE

    def failed(self, kind: str) -> None:
        """The execution ended with an error of that kind, where none was raised through the context manager."""
        if self._root is not None:
            self._root.set_status(trace.StatusCode.ERROR, kind)

    def begin(self, root: trace.Span, parent: Context) -> None:
        """What runs once it is entered is the span `root`, in that context."""
        self._root = root
        self._context = trace.set_span_in_context(root, parent)

    def context_under(self, parent: Context) -> Context:
        """The context in which spans are found to belong to this execution."""
        return otel_context.set_value(_TRACE, self, parent)

    def opened(self, span_id: int | str, forget: Callable[[Collection[int | str]], None] | None = None) -> None:
        """A span was started; `forget` is told of those that are still open when the execution ends."""
        with self._lock:
            self._open.add(span_id)
        self._forget = forget or self._forget

    def closed(self, span_id: int | str, span: ReadableSpan | UnexportedSpan) -> None:
        """The span ended; one that outlived its execution is nobody's."""
        # The execution's own span ends last, and its place is kept.
        is_root = self._root is not None and not isinstance(span, UnexportedSpan) and span.context == self._root.get_span_context()
        with self._lock:
            if span_id not in self._open:
                return
            self._open.discard(span_id)
            if len(self._ended) < SPANS_MAX - (not is_root):
                self._ended.append(span)
            else:
                self.dropped += 1


def trace_here(context: Context | None = None) -> ExecutionTrace | None:
    """Of the execution a context belongs to; of the one this code runs in, where none is given."""
    found = otel_context.get_value(_TRACE, context)
    return found if isinstance(found, ExecutionTrace) else None


def _records(root: trace.Span | None, ended: list[ReadableSpan | UnexportedSpan]) -> tuple[SpanRecord, ...]:
    """In order of their start; an execution's own span comes first."""
    ordered = sorted(ended, key=_began_ns) if ended else ended
    if not isinstance(root, UnexportedSpan):
        start_ns = min(map(_began_ns, ordered), default=0)
        return tuple(_record(span, start_ns) for span in ordered)
    own = _unexported(root, root.began_ns)
    return (own, *(_record(span, root.began_ns) for span in ordered)) if ordered else (own,)


def _began_ns(span: ReadableSpan | UnexportedSpan) -> int:
    return span.began_ns if isinstance(span, UnexportedSpan) else span.start_time or 0


def _record(span: ReadableSpan | UnexportedSpan, start_ns: int) -> SpanRecord:
    if isinstance(span, UnexportedSpan):
        return _unexported(span, start_ns)
    begun_ns = span.start_time or start_ns
    return SpanRecord(
        name=span.name[:_TEXT_MAX],
        span_id=f"{span.context.span_id:016x}" if span.context else "",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        kind=_KINDS[span.kind],
        offset_ms=(begun_ns - start_ns) / _NS_PER_MS,
        duration_ms=((span.end_time or begun_ns) - begun_ns) / _NS_PER_MS,
        status=_STATUSES[span.status.status_code],
        attributes=_attributes(span.attributes or {}),
    )


def _unexported(span: UnexportedSpan, start_ns: int) -> SpanRecord:
    return SpanRecord(
        name=span.name[:_TEXT_MAX],
        span_id=span.span_id,
        parent_id=span.parent_id,
        kind=_KINDS[span.kind],
        offset_ms=(span.began_ns - start_ns) / _NS_PER_MS,
        duration_ms=((span.ended_ns or span.began_ns) - span.began_ns) / _NS_PER_MS,
        status=_STATUSES[span.status],
        attributes=_attributes(span.attributes) if span.is_touched else cast("JsonObject", span.attributes),
    )


def _attributes(attributes: Mapping[str, object]) -> dict[str, JsonValue]:
    return {name: _attribute(value) for name, value in islice(attributes.items(), _ATTRIBUTES_MAX)}


def _attribute(value: object) -> JsonValue:
    return value if isinstance(value, _NUMBERS) else str(value)[:_TEXT_MAX]
