"""Log records of any process, as JSON."""

from __future__ import annotations

import json
import logging

from dualrun.log_line import JsonLine, log_fields
from dualrun.telemetry import new_traceparent, trace_id_of


def line_of(message: str) -> dict[str, object]:
    record = logging.LogRecord("gateway", logging.WARNING, __file__, 1, message, (), None)
    fields: dict[str, object] = json.loads(JsonLine().format(record))
    return fields


def test_what_is_logged_inside_a_submission_says_which_and_in_which_trace() -> None:
    traceparent = new_traceparent()
    with log_fields("s-1", traceparent):
        inside = line_of("record_delayed")
    assert (inside["submission_id"], inside["trace_id"]) == ("s-1", trace_id_of(traceparent))
    assert "submission_id" not in line_of("gateway_ready")


def test_what_is_no_traceparent_names_no_trace() -> None:
    assert trace_id_of(None) is None
    assert trace_id_of("nonsense") is None
