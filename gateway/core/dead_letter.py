"""A dead letter: a message that a queue could not deal with, kept until somebody replays or discards it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from dualrun.contracts import JsonObject

__all__ = ["DeadLetter", "DeadLetterStore"]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one."""

    id: str
    """The message's id; where it has none, a digest of what it holds."""
    queue: str
    """The queue it came from."""
    reason: str
    attempts: int
    task: str | None
    submission_id: str | None
    traceback: str | None
    headers: JsonObject
    """As they were when it died; bytes as text."""
    body: str
    """As text, with what is no UTF-8 replaced."""


class DeadLetterStore(Protocol):
    """The dead letters of every queue. Reading takes none away."""

    async def read(self, queue: str) -> Sequence[DeadLetter] | None:
        """Oldest first, up to a thousand; None where the queue keeps none. Raises `StoreUnavailable`."""
        ...

    async def replay(self, queue: str, ids: Collection[str]) -> Sequence[DeadLetter]:
        """Send those of these ids back to the queue they came from, with their ids; gives the ones that were there.

        Each leaves the dead letters once the broker confirmed it. Raises `StoreUnavailable`.
        """
        ...

    async def discard(self, queue: str, ids: Collection[str]) -> Sequence[DeadLetter]:
        """Delete those of these ids; gives the ones that were there. Raises `StoreUnavailable`."""
        ...
