"""What a handler may know about the run it is in."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualrun.breakers import BreakerBoard
from dualrun.contracts import Event, Role

if TYPE_CHECKING:
    from event_handlers.publisher import EventPublisher

__all__ = ["Context", "current_context", "enter", "is_in_shadow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Injected into a handler's parameter annotated `Context`; elsewhere `current_context()` gives it."""

    event: Event
    task: str
    submission_id: str | None
    """None for an ordinary event, which nobody submitted."""
    role: Role
    """A shadow's effects are held back; a handler need not care."""
    attempt: int
    """From 1."""
    ends_at: float | None = None
    """When the time limit strikes, by `time.monotonic()`; None where there is none."""
    publisher: EventPublisher
    breakers: BreakerBoard | None = None
    """Where circuits are shared with other processes; None where they are not."""

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the time limit strikes, not below 0; None where there is none."""
        return None if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())

    @property
    def log_extra(self) -> Mapping[str, object]:
        """What every log record of this run carries."""
        whose = {"event_id": self.event.id} if self.submission_id is None else {"submission_id": self.submission_id}
        return {**whose, "task": self.task, "role": self.role.value, "attempt": self.attempt}

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger named after the task whose records say which run they are from."""
        return logging.LoggerAdapter(logging.getLogger(f"event_handlers.task.{self.task}"), dict(self.log_extra))


_current: ContextVar[Context | None] = ContextVar("event_context", default=None)


def current_context() -> Context | None:
    """The context of the handler this code runs in; None outside of any."""
    return _current.get()


def is_in_shadow() -> bool:
    """Whether this code runs in a handler whose effects are held back."""
    context = _current.get()
    return context is not None and context.role is Role.SHADOW


def enter(context: Context) -> None:
    """Make it the current one. Each run has a task of its own, with its own copy of the context variables."""
    _current.set(context)
