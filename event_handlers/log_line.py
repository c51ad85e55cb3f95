"""Log lines of event workers: as everywhere, and inside a run they say whose it is."""

from __future__ import annotations

from collections.abc import Mapping

from dualrun.log_line import JsonLine
from event_handlers.context import current_context

__all__ = ["RunLine"]


class RunLine(JsonLine):
    """As JSON: with submission, task, role and attempt inside a handler's run."""

    def whose(self) -> Mapping[str, object]:
        run = current_context()
        return super().whose() if run is None else {**run.log_extra, **super().whose()}
