"""When a tick of a schedule was due, the same for every beat that runs it. Pure."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime, timedelta

from celery.schedules import BaseSchedule, crontab, schedule, solar

__all__ = ["following_time", "has_times_of_its_own", "tick_time"]

_EPOCH = datetime.fromtimestamp(0, UTC)
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Far enough for a run on the 29th of February; the narrowest window that holds a run is looked through.
_WINDOWS = (_HOUR, _DAY, timedelta(days=32), timedelta(days=367), timedelta(days=9 * 366))
# Where a search for the sun begins moves what it finds: by hundredths of a second, more where the sun barely crosses the horizon.
_SUN_JITTER = timedelta(seconds=10)
# The sun is looked for over so many days; where it stays away for longer, a tick that is late has no event near it.
_SUN_DAYS = 3


def tick_time(planned: BaseSchedule, ran_at: datetime) -> datetime:
    """What names a tick that was found due at `ran_at`: the same for every beat that runs it, whenever that is.

    A crontab: its latest minute by then. The sun: its latest event by then. An interval: the beginning of the interval, counted from 1970;
    one beat's ticks lie at least an interval apart, so no two of them are the same. Schedules of other kinds have no times of their own:
    there it is `ran_at`.
    """
    ran_at = planned.maybe_make_aware(ran_at).astimezone(UTC)
    if isinstance(planned, crontab):
        return _latest(planned, ran_at) or ran_at
    if isinstance(planned, solar):
        return _latest_event(planned, ran_at) or ran_at
    if isinstance(planned, schedule):
        # Rounded ones run on the clock's minutes, hours or local days, which are not all of one length.
        every = min(planned.run_every, _MINUTE) if planned.relative else planned.run_every
        return ran_at if every <= timedelta(0) else _EPOCH + (ran_at - _EPOCH) // every * every
    return ran_at


def has_times_of_its_own(planned: BaseSchedule) -> bool:
    """Whether `tick_time` is when the tick was due. An interval's is only a name: its tick may be due at any moment of the interval."""
    return isinstance(planned, (crontab, solar))


def following_time(planned: BaseSchedule, ran_at: datetime) -> datetime:
    """When the tick after the one found due at `ran_at` is due."""
    if isinstance(planned, solar):
        return _event_after(planned, planned.maybe_make_aware(ran_at) + _SUN_JITTER)
    left: timedelta = planned.remaining_estimate(ran_at)
    now: datetime = planned.now()
    return now + left


def _latest(planned: crontab, ran_at: datetime) -> datetime | None:
    for window in _WINDOWS:
        at, following = None, _following(planned, ran_at - window)
        while following <= ran_at:
            at, following = following, _following(planned, following)
        if at is not None:
            return at
    return None


def _following(planned: crontab, moment: datetime) -> datetime:
    # Celery 5.4 reads a crontab by the clock of the moment it is given, 5.7 by the crontab's own.
    start, step, _ = planned.remaining_delta(moment.astimezone(planned.tz))
    following: datetime = (start + step).astimezone(UTC)
    # Celery leaves out the hour that clocks being put back repeat: there, what follows by the clock on the wall has been before.
    return following if following > moment else _following(planned, moment + _HOUR)


def _latest_event(planned: solar, ran_at: datetime) -> datetime | None:
    # From a midnight: every beat's search begins at the same moment, and finds the same.
    midnight = ran_at.replace(hour=0, minute=0, second=0, microsecond=0)
    for days in range(_SUN_DAYS):
        at, following = None, _event_after(planned, midnight - days * _DAY)
        while following <= ran_at + _SUN_JITTER:
            at, following = following, _event_after(planned, following + _SUN_JITTER)
        if at is not None:
            return at.replace(microsecond=0)
    return None


def _event_after(planned: solar, moment: datetime) -> datetime:
    # Celery says how long there is to wait, by a clock that goes on while it is asked: here it stands still.
    standing = copy(planned)
    standing.nowfun = lambda: moment
    left: timedelta = standing.remaining_estimate(moment)
    return (moment + left).astimezone(UTC)
