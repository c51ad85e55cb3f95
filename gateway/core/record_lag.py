"""How far behind the present the records are that are being read: after an outage of ours, those that waited come first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from dualrun.contracts import Outcome, Record
from gateway.core.moment import as_utc

__all__ = ["RecordLag"]

_HOLDS = timedelta(seconds=15)
"""What was seen of the queue is believed for that long: longer than a consumer pauses between two tries to reach the broker."""


class RecordLag:
    """Says up to when everything that happened is on record. An outcome that may still wait in the queue is not missing."""

    def __init__(self) -> None:
        self._behind = timedelta()
        self._holds_until: datetime | None = None
        self._unreached_since: datetime | None = None

    def read(self, records: Iterable[Record], now: datetime) -> None:
        """These came off the queue now. The youngest says how old the queue's head is: one old record may have been held up alone."""
        newest = max((_moment(record) for record in records), default=None)
        if newest is not None:
            self._behind = max(timedelta(), as_utc(now) - newest)
            self._holds_until = now + _HOLDS
            self._unreached_since = None

    def out_of_reach(self, now: datetime) -> None:
        """The queue could not be read now."""
        if self._unreached_since is None:
            self._unreached_since = now - self._lag(now)
        self._holds_until = now + _HOLDS

    def known_until(self, now: datetime) -> datetime:
        """Records of what happened before that have been read; `now` where nothing says otherwise."""
        return now - self._lag(now)

    def _lag(self, now: datetime) -> timedelta:
        if self._holds_until is None or now > self._holds_until:
            self._behind, self._unreached_since = timedelta(), None
            return timedelta()
        return self._behind if self._unreached_since is None else max(timedelta(), now - self._unreached_since)


def _moment(record: Record) -> datetime:
    return as_utc(record.ended_at if isinstance(record, Outcome) else record.submission.submitted_at)
