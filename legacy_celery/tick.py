"""One firing of a beat entry, named the same by every beat that fires it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from celery.beat import BeatLazyFunc, ScheduleEntry
from celery.schedules import BaseSchedule, crontab, schedule
from kombu.utils.json import dumps

__all__ = ["OptionNotCarried", "Tick", "options_not_carried", "tick_of", "tick_time"]

_EPOCH = datetime.fromtimestamp(0, UTC)
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
# Far enough for a run on the 29th of February; the narrowest window that holds a run is looked through.
_WINDOWS = (_HOUR, timedelta(days=1), timedelta(days=32), timedelta(days=367), timedelta(days=9 * 366))
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
    kept_until: float
    """When the entry's next tick takes its place, as POSIX time."""


def tick_of(entry: ScheduleEntry, ran_at: datetime, *, app_name: str) -> Tick:
    """The tick of an entry that was found due at `ran_at`. Raises `OptionNotCarried`, and `TypeError` for arguments that are not JSON."""
    refused = options_not_carried(entry.options)
    if refused:
        raise OptionNotCarried(entry.name, refused)
    at = tick_time(entry.schedule, ran_at)
    body = {
        "task": entry.task,
        "args": [_evaluated(value) for value in entry.args or ()],
        "kwargs": {name: _evaluated(value) for name, value in (entry.kwargs or {}).items()},
        **_options(entry.options, at, entry.schedule),
    }
    left: timedelta = entry.schedule.remaining_estimate(ran_at)
    return Tick(
        entry=entry.name,
        key=f"beat:{quote(entry.name, safe='')[:100]}:{_digest(app_name, entry.name, entry.task)}:{at:%Y%m%dT%H%M%S.%fZ}",
        body=dumps(body),
        kept_until=(entry.schedule.now() + left).timestamp(),
    )


def options_not_carried(options: Mapping[str, object]) -> list[str]:
    """Options of an entry that mean something and would be lost."""
    return sorted(name for name, value in options.items() if value not in (None, "") and name not in _CARRIED | _OF_PUBLISHING)


def tick_time(planned: BaseSchedule, ran_at: datetime) -> datetime:
    """When the tick was due: the same for every beat that runs it, whenever that is.

    A crontab: its latest minute by then. An interval: the beginning of the interval, counted from 1970; one beat's ticks lie at least an
    interval apart, so no two of them are the same. Schedules of other kinds have no times of their own: there it is `ran_at`.
    """
    ran_at = planned.maybe_make_aware(ran_at).astimezone(UTC)
    if isinstance(planned, crontab):
        return _latest(planned, ran_at) or ran_at
    if isinstance(planned, schedule):
        # Rounded ones run on the clock's minutes, hours or local days, which are not all of one length.
        every = min(planned.run_every, _MINUTE) if planned.relative else planned.run_every
        return ran_at if every <= timedelta(0) else _EPOCH + (ran_at - _EPOCH) // every * every
    return ran_at


def _latest(planned: crontab, ran_at: datetime) -> datetime | None:
    for window in _WINDOWS:
        at, following = None, _following(planned, ran_at - window)
        while following <= ran_at:
            at, following = following, _following(planned, following)
        if at is not None:
            return at
    return None


def _following(planned: crontab, moment: datetime) -> datetime:
    start, step, _ = planned.remaining_delta(moment)
    following: datetime = (start + step).astimezone(UTC)
    # Celery leaves out the hour that clocks being put back repeat: there, what follows by the clock on the wall has been before.
    return following if following > moment else _following(planned, moment + _HOUR)


def _options(options: Mapping[str, object], at: datetime, planned: BaseSchedule) -> Mapping[str, object]:
    given = {name: value for name, value in options.items() if name in _CARRIED and value not in (None, "")}
    # From the tick, not from whenever the gateway has it: every try, and every beat, asks for the same.
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
