"""The log of notices in the memory of one process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice

from gateway.core.notice import Logged, Notice, NoticeType

__all__ = ["KEPT", "Appended", "MemoryNoticeLog"]

KEPT = 10_000
"""Notices a log keeps."""


class Appended:
    """Wakes everybody who waits for something new."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def listen(self) -> asyncio.Event:
        return self._event

    def wake(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()


class MemoryNoticeLog:
    """Implements `NoticeLog` for one process."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, Notice]] = deque(maxlen=KEPT)
        self._ids: set[str] = set()
        self._count = 0
        self._appended = Appended()

    async def append(self, notice: Notice) -> None:
        if notice.id in self._ids:
            return
        self._ids.add(notice.id)
        if len(self._kept) == KEPT:
            self._ids.discard(self._kept[0][1].id)
        self._count += 1
        self._kept.append((self._count, notice))
        self._appended.wake()

    async def after(self, position: str, limit: int = 100) -> Sequence[Logged]:
        behind = int(position.partition("-")[0])
        found = ((number, notice) for number, notice in self._kept if number > behind)
        return [Logged(f"{number}-0", notice) for number, notice in islice(found, limit)]

    async def end(self) -> str:
        return f"{self._count}-0"

    async def newest(self, kind: NoticeType) -> Notice | None:
        return next((notice for _, notice in reversed(self._kept) if notice.type is kind), None)

    def listen(self) -> asyncio.Event:
        return self._appended.listen()
