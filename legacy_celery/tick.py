"""One firing of a beat entry, named the same by every beat that fires it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from celery.beat import BeatLazyFunc, ScheduleEntry
from celery.schedules import BaseSchedule
from kombu.utils.json import dumps

from legacy_celery.tick_time import following_time, has_times_of_its_own, tick_time

__all__ = ["OptionNotCarried", "Tick", "options_not_carried", "tick_of"]

_CARRIED = frozenset({"queue", "priority", "expires", "eta", "countdown"})
# How Celery would have published: the gateway publishes in its own way.
_OF_PUBLISHING = frozenset({"serializer", "compression", "retry", "retry_policy", "ignore_result", "headers", "delivery_mode"})


class OptionNotCarried(Exception):
    """An entry asks for what a submission cannot carry."""

    def __init__(self, entry: str, options: Sequence[str]) -> None:
        super().__init__(
            f"beat entry {entry!r}: the gateway does not take {', '.join(options)}; it takes {', '.join(sorted(_CARRIED))}. "
            "Where a task goes on the legacy side, say by `queue` or by Celery's task_routes"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A submission to be made once, however often it is tried and by how many beats."""

    entry: str
    key: str
    """Its Idempotency-Key."""
    body: str
    """The submission, as JSON."""
    kept_until: float | None
    """When the entry's next tick takes its place, as POSIX time; None where no other follows."""


def tick_of(entry: ScheduleEntry, ran_at: datetime, *, app_name: str) -> Tick:
    """The tick of an entry that was found due at `ran_at`. Raises `OptionNotCarried`, and `TypeError` for arguments that are not JSON."""
    refused = options_not_carried(entry.options)
    if refused:
        raise OptionNotCarried(entry.name, refused)
    once = _runs_once(entry)
    # A one-off entry has one tick, whenever each beat comes to it: what they have in common is the row they read.
    named = _utc(entry.schedule, entry.last_run_at) if once else tick_time(entry.schedule, ran_at)
    asked_at = named if has_times_of_its_own(entry.schedule) and not once else _utc(entry.schedule, ran_at)
    body = {
        "task": entry.task,
        "args": [_evaluated(value) for value in entry.args or ()],
        "kwargs": {name: _evaluated(value) for name, value in (entry.kwargs or {}).items()},
        **_options(entry.options, asked_at, entry.schedule),
    }
    return Tick(
        entry=entry.name,
        key=f"beat:{quote(entry.name, safe='')[:100]}:{_digest(app_name, entry.name, entry.task)}:{named:%Y%m%dT%H%M%S.%fZ}",
        body=dumps(body),
        kept_until=None if once else following_time(entry.schedule, ran_at).timestamp(),
    )


def options_not_carried(options: Mapping[str, object]) -> list[str]:
    """Options of an entry that mean something and would be lost."""
    return sorted(name for name, value in options.items() if value not in (None, "") and name not in _CARRIED | _OF_PUBLISHING)


def _runs_once(entry: ScheduleEntry) -> bool:
    """Whether it is one of django-celery-beat's one-off entries, which those with a clocked schedule are too."""
    return bool(getattr(getattr(entry, "model", None), "one_off", False)) or hasattr(entry.schedule, "clocked_time")


def _utc(planned: BaseSchedule, moment: datetime) -> datetime:
    aware: datetime = planned.maybe_make_aware(moment)
    return aware.astimezone(UTC)


def _options(options: Mapping[str, object], at: datetime, planned: BaseSchedule) -> Mapping[str, object]:
    given = {name: value for name, value in options.items() if name in _CARRIED and value not in (None, "")}
    # From the tick, not from whenever the gateway has it: every try asks for the same, and every beat where the schedule has times.
    if "countdown" in given:
        given["eta"] = _instant(given.pop("countdown"), at, planned)
    for name in ("eta", "expires"):
        if name in given:
            given[name] = _instant(given[name], at, planned)
    return given


def _instant(value: object, at: datetime, planned: BaseSchedule) -> str:
    if isinstance(value, (int, float)):
        value = timedelta(seconds=value)
    moment = at + value if isinstance(value, timedelta) else value
    if isinstance(moment, str):
        return moment
    if not isinstance(moment, datetime):
        raise TypeError(f"{value!r} is neither seconds nor a time")
    aware: datetime = planned.maybe_make_aware(moment, naive_as_utc=False)
    return aware.astimezone(UTC).isoformat()


def _digest(*parts: str) -> str:
    """Tells entries of one name apart: those of other applications, and names that were cut."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _evaluated(value: object) -> object:
    return value() if isinstance(value, BeatLazyFunc) else value
