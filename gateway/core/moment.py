"""Moments as records hold them: any zone, or none, up to the edges of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["as_utc", "hour_of", "later"]

_LAST = datetime.max.replace(tzinfo=UTC)


def as_utc(moment: datetime) -> datetime:
    """The same moment in UTC. A time without a zone is taken as UTC, and so is one its zone would move off the calendar."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def later(moment: datetime, seconds: float) -> datetime:
    """The moment that many seconds on, in UTC; at most the last one there is."""
    try:
        return as_utc(moment) + timedelta(seconds=seconds)
    except OverflowError:
        return _LAST


def hour_of(moment: datetime) -> datetime:
    """The beginning of the UTC hour a moment is in."""
    return as_utc(moment).replace(minute=0, second=0, microsecond=0)
