"""What the workers serve: each announces its tasks, so that a submission is checked before anything is published."""

from __future__ import annotations

import msgspec

from dualrun.contracts.values import JsonObject
from dualrun.contracts.words import Side

__all__ = ["Announcement", "Parameter", "ServedTask"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One parameter of a task, in the order of its signature."""

    name: str
    required: bool = True
    keyword_only: bool = False


class ServedTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task as one side serves it."""

    task: str
    parameters: tuple[Parameter, ...] | None = None
    """None where the signature is not known or takes `*args`/`**kwargs`: arguments then pass unchecked."""
    schema: JsonObject | None = None
    """JSON Schema of the payload: an object keyed by parameter name. Events side only."""
    service: str = ""
    """Whose queue takes it, where one service's workers claim what they run. Events side only."""
    exchange: str = ""
    routing_key: str = ""
    """Where a message for this task is published; on the legacy side, what Celery's own router says."""
    serializer: str = "json"
    rate_limit: str = ""
    """As Celery writes it, `10/m`; empty for none."""
    soft_time_limit_s: float | None = None
    time_limit_s: float | None = None
    ignores_result: bool = False
    """Its result is never stored: nobody can wait for it."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker serves. Repeated while it lives; it counts as gone `ttl_s` after the last one."""

    worker: str
    side: Side
    service: str
    tasks: tuple[ServedTask, ...]
    ttl_s: float = 30.0
