"""Log records as lines: `2026-05-04T12:00:00.000Z INFO event_worker_ready service=shop tasks=9`."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

__all__ = ["LogLine"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogLine(logging.Formatter):
    """The event name, then its extras."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; the traceback, if there is one, on the lines after it."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        extras = [f"{name}={_text(value)}" for name, value in vars(record).items() if name not in _STANDARD]
        line = " ".join([moment, record.levelname, record.getMessage(), *extras])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _text(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c.isspace() or c in '"=' for c in text) else text
