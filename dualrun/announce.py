"""How a worker says what it serves."""

from __future__ import annotations

import threading
from typing import Protocol

from dualrun.contracts import Announcement

__all__ = ["Announcer", "Heartbeat"]


class Announcer(Protocol):
    """Takes announcements, from any thread. It never raises: a worker works whether or not anybody hears it."""

    def announce(self, announcement: Announcement) -> None:
        """Say (again) what a worker serves."""
        ...

    def withdraw(self, announcement: Announcement) -> None:
        """The worker leaves. Its tasks stay known; it no longer counts as alive."""
        ...


class Heartbeat:
    """Repeats an announcement every third of its `ttl_s` from a thread of its own, and withdraws it at the end."""

    def __init__(self, announcer: Announcer, announcement: Announcement) -> None:
        self._announcer = announcer
        self._announcement = announcement
        self._stopping = threading.Event()
        # A daemon: a worker that dies without `stop` must not be kept alive by its own heartbeat.
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{announcement.worker}", daemon=True)

    def start(self) -> None:
        """Announce now, then go on. Does not wait for the announcer."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Withdraw, and wait for that at most so long."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _beat(self) -> None:
        while True:
            self._announcer.announce(self._announcement)
            if self._stopping.wait(self._announcement.ttl_s / 3):
                break
        self._announcer.withdraw(self._announcement)
