"""How a worker says what it serves."""

from __future__ import annotations

from typing import Protocol

from dualrun.contracts import Announcement

__all__ = ["Announcer"]


class Announcer(Protocol):
    """Takes announcements, from any thread. It never raises: a worker works whether or not anybody hears it."""

    def announce(self, announcement: Announcement) -> None:
        """Say (again) what a worker serves."""
        ...

    def withdraw(self, announcement: Announcement) -> None:
        """The worker leaves. Its tasks stay known; it no longer counts as alive."""
        ...
