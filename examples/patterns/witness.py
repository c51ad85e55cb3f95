"""Who got what, for the examples: handlers note it here, and the example waits until all has arrived."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from event_handlers import Event

__all__ = ["Witness"]

PATIENCE_S = 10.0


class Witness:
    """Notes of handlers by their name."""

    def __init__(self) -> None:
        self._notes: defaultdict[str, list[str]] = defaultdict(list)
        self._changed = asyncio.Condition()

    def handler(self, name: str) -> Callable[[Event], Awaitable[None]]:
        """A handler that notes each event as `type` or `type subject`."""

        async def note(event: Event) -> None:
            await self.note(name, event.type if event.subject is None else f"{event.type} {event.subject}")

        return note

    async def note(self, name: str, text: str) -> None:
        """Note something under a name."""
        async with self._changed:
            self._notes[name].append(text)
            self._changed.notify_all()

    async def until(self, count: int) -> dict[str, list[str]]:
        """All notes by name, once there are so many."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: sum(map(len, self._notes.values())) >= count)
        return {name: list(notes) for name, notes in sorted(self._notes.items())}
