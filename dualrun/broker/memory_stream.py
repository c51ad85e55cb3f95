"""A stream in memory: bounded by age and size like one of RabbitMQ."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime

from dualrun.broker.port import Message, Stream

__all__ = ["MemoryStream"]


class MemoryStream:
    """Messages in order, each with the time it came."""

    refuses = False

    def __init__(self, properties: Stream) -> None:
        self.properties = properties
        self._messages: deque[tuple[float, Message]] = deque()
        self._bytes = 0

    def put(self, _exchange: str, _routing_key: str, message: Message) -> None:
        """Append; the oldest go when there are too many."""
        self._messages.append((time.time(), message))
        self._bytes += len(message.body)
        self._trim()

    def read(self, since: datetime | None) -> Iterator[Message]:
        """What is there now, oldest first."""
        self._trim()
        since_s = 0.0 if since is None else since.timestamp()
        return iter([message for came_at_s, message in self._messages if came_at_s >= since_s])

    def _trim(self) -> None:
        oldest_s = time.time() - self.properties.max_age_s
        while self._messages and (self._bytes > self.properties.max_bytes or self._messages[0][0] < oldest_s):
            self._bytes -= len(self._messages.popleft()[1].body)
