"""Log records as lines: `2026-05-04T12:00:00.000Z INFO event_worker_ready service=shop tasks=9`, or as JSON objects."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from dualrun.telemetry import trace_id_of, traceparent_here

__all__ = ["JsonLine", "LogLine", "log_fields", "log_to_stderr"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_bound: ContextVar[Mapping[str, object] | None] = ContextVar("dualrun_log_fields", default=None)


@contextmanager
def log_fields(submission_id: str, traceparent: str | None) -> Iterator[None]:
    """Whatever is logged inside says of which submission, and in which trace."""
    token = _bound.set({"submission_id": submission_id, "trace_id": trace_id_of(traceparent)})
    try:
        yield
    finally:
        _bound.reset(token)


class LogLine(logging.Formatter):
    """The event name, then its extras."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; the traceback, if there is one, on the lines after it."""
        extras = [f"{name}={_text(value)}" for name, value in vars(record).items() if name not in _STANDARD and value is not None]
        line = " ".join([_moment(record), record.levelname, record.getMessage(), *extras])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLine(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, the extras, and inside a submission its id and `trace_id`.

    It suits any process: a Celery worker's own logging may name it as its formatter.
    """

    def whose(self) -> Mapping[str, object]:
        """What is said of the work this code is part of."""
        bound = _bound.get()
        if bound is not None:
            return bound
        trace_id = trace_id_of(traceparent_here())
        return {} if trace_id is None else {"trace_id": trace_id}

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self.whose(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def log_to_stderr(level: int | str, formatter: logging.Formatter) -> None:
    """Log everything from this level on, where nobody has set up logging before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c.isspace() or c in '"=' for c in text) else text
