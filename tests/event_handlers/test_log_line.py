"""Log records as lines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from dualrun.contracts import Event, Role, Side
from dualrun.log_line import LogLine
from dualrun.telemetry import execution_span
from event_handlers.context import Context, _current
from event_handlers.log_line import RunLine


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("event_handlers.test").makeRecord("event_handlers.test", logging.INFO, __file__, 1, message, (), None)
    made.__dict__.update(extra)
    return made


def test_a_line_names_the_event_and_its_extras() -> None:
    line = LogLine().format(record("event_failed", task="a.b", error="not this time", empty="", unknown=None))
    assert line.split(" ", 1)[1] == 'INFO event_failed task=a.b error="not this time" empty=""'


def test_json_has_one_object_a_line_with_its_extras() -> None:
    line = RunLine().format(record("event_failed", task="a.b", number=3, thing=Role.SHADOW))
    fields = json.loads(line)
    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "info", "logger": "event_handlers.test", "message": "event_failed", "task": "a.b", "number": 3, "thing": "shadow"
    }  # fmt: skip


def test_json_holds_a_traceback_in_one_line() -> None:
    failed = record("event_failed")
    try:
        raise LookupError("no\nsuch")
    except LookupError:
        failed.exc_info = sys.exc_info()
    line = RunLine().format(failed)
    assert "\n" not in line
    assert "LookupError: no\nsuch" in json.loads(line)["traceback"]


def test_json_says_which_trace_the_run_is_in() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = Event(id="e-1", type="a.b", source="/test", time=datetime.now(UTC))
    context = Context(event=event, task="a.b", submission_id="s-1", role=Role.AUTHORITY, attempt=2, publisher=None)  # type: ignore[arg-type]
    token = _current.set(context)
    try:
        with execution_span("a.b", traceparent=parent, submission_id="s-1", side=Side.EVENTS, role=Role.AUTHORITY):
            fields = json.loads(RunLine().format(record("looked", attempt=3)))
    finally:
        _current.reset(token)
    assert (fields["submission_id"], fields["task"], fields["trace_id"]) == ("s-1", "a.b", parent.split("-")[1])
    assert fields["attempt"] == 3, "what the record says itself goes before"
