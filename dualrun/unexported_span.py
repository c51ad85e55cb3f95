"""Spans of our own for a process that exports none: what comparing needs, at a fraction of what the SDK's cost.

Spans that users' code starts inside are the SDK's, with these as their parents.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

__all__ = ["Parent", "UnexportedSpan", "parent_of"]

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
Parent = tuple[str, str, bool]
"""Trace id and span id in hexadecimal, and whether the trace is sampled."""


def parent_of(traceparent: str | None) -> Parent | None:
    """What a W3C `traceparent` of version 00 says; None for anything else."""
    found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    return None if found is None else (found[1], found[2], int(found[3], 16) & 1 == 1)


class UnexportedSpan(trace.Span):
    """Implements OpenTelemetry's `Span`. Events and links are not kept, as they are not part of an outcome."""

    __slots__ = (
        "_context",
        "_trace_id",
        "attributes",
        "began_ns",
        "ended_ns",
        "is_touched",
        "kind",
        "name",
        "parent_id",
        "span_id",
        "status",
    )

    def __init__(self, name: str, parent: Parent | None, attributes: dict[str, AttributeValue], kind: SpanKind = SpanKind.CONSUMER) -> None:
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.is_touched = False
        """Whether anybody but its maker set attributes."""
        self.parent_id = None if parent is None else parent[1]
        # Ids are not secrets; the SDK draws them the same way.
        self.span_id = f"{random.getrandbits(64) or 1:016x}"
        self.status = StatusCode.UNSET
        self.ended_ns: int | None = None
        self._trace_id = None if parent is None else parent[0]
        self._context: SpanContext | None = None
        self.began_ns = time.time_ns()

    def get_span_context(self) -> SpanContext:
        """Made when first asked for: most handlers start no spans."""
        if self._context is None:
            trace_id = random.getrandbits(128) or 1 if self._trace_id is None else int(self._trace_id, 16)
            self._context = SpanContext(trace_id, int(self.span_id, 16), is_remote=False, trace_flags=_SAMPLED)
        return self._context

    def is_recording(self) -> bool:
        """Until it ended."""
        return self.ended_ns is None

    def end(self, end_time: int | None = None) -> None:
        """The first end counts."""
        if self.ended_ns is None:
            self.ended_ns = time.time_ns() if end_time is None else end_time

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Kept with the outcome, within its bounds."""
        if self.is_recording():
            self.is_touched = True
            self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """As `set_attribute` for each."""
        if self.is_recording():
            self.is_touched = True
            self.attributes.update(attributes)

    def update_name(self, name: str) -> None:
        """Another name from now on."""
        if self.is_recording():
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """As in the SDK: OK is final, and nothing returns to unset."""
        code = status.status_code if isinstance(status, Status) else status
        if self.is_recording() and self.status is not StatusCode.OK and code is not StatusCode.UNSET:
            self.status = code

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Not kept."""

    def record_exception(
        self, exception: BaseException, attributes: Attributes = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        """Not kept."""

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Not kept."""
