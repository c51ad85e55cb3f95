"""The spans an execution keeps."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from opentelemetry import trace

from dualrun.contracts import Role, Side
from dualrun.telemetry import SPANS_MAX, configure, execution_span, new_traceparent, traceparent_here

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def tracer() -> trace.Tracer:
    configure("test")
    return trace.get_tracer("user's own")


def test_the_execution_is_a_child_of_the_submission() -> None:
    with execution_span("a.b", traceparent=PARENT, submission_id="s-1", side=Side.EVENTS, role=Role.SHADOW) as kept:
        assert (traceparent_here() or "").split("-")[1] == PARENT.split("-")[1]
        with tracer().start_as_current_span("inside", attributes={"n": 1, "list": [1, 2]}):
            pass
    root, inside = kept.spans
    assert (root.name, root.parent_id, inside.parent_id) == ("execute:a.b", PARENT.split("-")[2], root.span_id)
    assert root.attributes == {
        "dualrun.submission_id": "s-1",
        "dualrun.side": "events",
        "dualrun.role": "shadow",
        "dualrun.task": "a.b",
    }
    assert inside.attributes["n"] == 1
    assert root.offset_ms == 0 <= inside.offset_ms
    assert inside.duration_ms <= root.duration_ms
    assert traceparent_here() is None


def test_an_error_is_the_status_of_the_span() -> None:
    with (
        pytest.raises(ValueError, match="no"),
        execution_span("t", traceparent=None, submission_id="s", side=Side.LEGACY, role=Role.AUTHORITY) as raised,
    ):
        raise ValueError("no")
    assert raised.spans[0].status == "error"
    with execution_span("t", traceparent="nonsense", submission_id="s", side=Side.LEGACY, role=Role.AUTHORITY) as told:
        told.failed("OutOfStock")
    assert told.spans[0].status == "error"
    assert told.spans[0].parent_id is None


async def test_executions_side_by_side_keep_their_own_spans() -> None:
    def in_thread(name: str) -> None:
        with tracer().start_as_current_span(f"{name}-thread"):
            pass

    async def one(name: str) -> set[str]:
        with execution_span(name, traceparent=PARENT, submission_id=name, side=Side.EVENTS, role=Role.AUTHORITY) as kept:
            for _ in range(3):
                with tracer().start_as_current_span(f"{name}-await"):
                    await asyncio.sleep(0)
            await asyncio.to_thread(in_thread, name)
        return {span.name for span in kept.spans}

    answers = await asyncio.gather(one("a"), one("b"))
    assert list(answers) == [{f"execute:{name}", f"{name}-await", f"{name}-thread"} for name in "ab"]


def test_spans_beyond_the_bound_and_spans_left_open_are_counted() -> None:
    with execution_span("t", traceparent=PARENT, submission_id="s", side=Side.EVENTS, role=Role.AUTHORITY) as kept:
        left_open = tracer().start_span("left open")
        for number in range(SPANS_MAX + 10):
            with tracer().start_as_current_span(str(number)):
                pass
    left_open.end()
    assert len(kept.spans) == SPANS_MAX
    assert kept.spans[0].name == "execute:t", "the span of the execution itself is never what is dropped"
    assert kept.dropped == 12


def test_a_new_traceparent_is_one_of_its_own() -> None:
    version, trace_id, span_id, flags = new_traceparent().split("-")
    assert (version, len(trace_id), len(span_id), flags) == ("00", 32, 16, "01")
    assert new_traceparent() != new_traceparent()


@pytest.mark.e2e
def test_a_provider_somebody_else_has_set_is_kept_and_listened_to() -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
theirs = TracerProvider()
trace.set_tracer_provider(theirs)
from dualrun.contracts import Role, Side
from dualrun.telemetry import configure, execution_span
configure("ours"); configure("ours")
assert trace.get_tracer_provider() is theirs
with execution_span("t", traceparent=None, submission_id="s", side=Side.LEGACY, role=Role.SHADOW) as kept:
    with trace.get_tracer("x").start_as_current_span("inside"):
        pass
assert [span.name for span in kept.spans] == ["execute:t", "inside"]
"""
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_what_a_handler_says_of_its_own_execution_is_kept() -> None:
    with execution_span("t", traceparent=PARENT, submission_id="s", side=Side.EVENTS, role=Role.AUTHORITY) as kept:
        span = trace.get_current_span()
        assert span.is_recording()
        span.set_attribute("rows", 3)
        span.set_attributes({"cache": "hit"})
        span.add_event("looked")
        span.record_exception(ValueError("kept nowhere"))
        span.set_status(trace.StatusCode.OK)
        kept.failed("TooLate")
    span.set_attribute("after", "the end")
    assert (kept.spans[0].attributes["rows"], kept.spans[0].attributes["cache"]) == (3, "hit")
    assert "after" not in kept.spans[0].attributes
    assert kept.spans[0].status == "ok", "OK is final, as in the SDK"


def test_a_trace_that_is_not_sampled_keeps_no_spans() -> None:
    with execution_span("t", traceparent=f"{PARENT[:-2]}00", submission_id="s", side=Side.EVENTS, role=Role.AUTHORITY) as kept:
        assert (traceparent_here() or "").endswith("-00")
        with tracer().start_as_current_span("inside"):
            pass
    assert kept.spans == ()


@pytest.mark.e2e
@pytest.mark.parametrize("environment", [{}, {"OTEL_TRACES_SAMPLER": "always_on"}])
def test_the_span_is_the_same_whoever_keeps_it(environment: dict[str, str]) -> None:
    """With another sampler than the default, or somebody else listening, it is the SDK's own."""
    program = f"""
from dualrun.contracts import Role, Side
from dualrun.telemetry import execution_span
with execution_span("t", traceparent="{PARENT}", submission_id="s", side=Side.LEGACY, role=Role.SHADOW) as kept:
    pass
span = kept.spans[0]
print(span.name, span.parent_id, span.kind, span.status, len(span.span_id), span.offset_ms, 0 < span.duration_ms < 1000, span.attributes)
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert result.stderr == ""
    attributes = {"dualrun.submission_id": "s", "dualrun.side": "legacy", "dualrun.role": "shadow", "dualrun.task": "t"}
    assert result.stdout.strip() == f"execute:t {PARENT.split('-')[2]} consumer unset 16 0.0 True {attributes}"


CALLS = f"""
import sys
from opentelemetry import trace
from dualrun.contracts import Role, Side
from dualrun.telemetry import client_span, execution_span, traceparent_here
with execution_span("t", traceparent="{PARENT}", submission_id="s", side=Side.LEGACY, role=Role.SHADOW) as kept:
    with client_span("http:GET:shop/") as headers:
        assert headers == {{"traceparent": traceparent_here()}}
    try:
        with client_span("http:GET:broken/"):
            raise ConnectionError("refused")
    except ConnectionError:
        pass
    left = client_span("left open")
    left.__enter__()
root, *calls = kept.spans
assert all(call.parent_id == root.span_id and 0 <= call.offset_ms for call in calls)
assert headers["traceparent"].split("-")[2] == calls[0].span_id
print([(call.name, call.kind, call.status, call.attributes) for call in calls], kept.dropped)
"""


@pytest.mark.e2e
@pytest.mark.parametrize("environment", [{}, {"OTEL_TRACES_SAMPLER": "always_on"}])
def test_a_call_to_the_outside_is_the_same_span_whoever_keeps_it(environment: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", CALLS], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    calls: list[tuple[str, str, str, dict[str, str]]] = [
        ("http:GET:shop/", "client", "unset", {}),
        ("http:GET:broken/", "client", "error", {}),
    ]
    assert result.stdout.strip() == f"{calls} 1", result.stderr


@pytest.mark.e2e
def test_the_sdk_is_imported_when_somebody_asks_for_a_tracer() -> None:
    program = f"""{CALLS}
assert "opentelemetry.sdk.trace" not in sys.modules
with execution_span("t", traceparent=None, submission_id="s", side=Side.LEGACY, role=Role.SHADOW) as kept:
    with trace.get_tracer("user's own").start_as_current_span("inside"):
        with client_span("http:GET:shop/"):
            pass
assert "opentelemetry.sdk.trace" in sys.modules
assert [span.name for span in kept.spans] == ["execute:t", "inside", "http:GET:shop/"]
assert [span.parent_id for span in kept.spans[1:]] == [span.span_id for span in kept.spans[:2]]
"""
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


@pytest.mark.e2e
def test_who_listens_to_our_provider_later_sees_executions_too() -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from dualrun.contracts import Role, Side
from dualrun.telemetry import configure, execution_span
configure("ours")
seen = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(seen))
with execution_span("t", traceparent=None, submission_id="s", side=Side.LEGACY, role=Role.SHADOW):
    pass
assert [span.name for span in seen.get_finished_spans()] == ["execute:t"]
"""
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
