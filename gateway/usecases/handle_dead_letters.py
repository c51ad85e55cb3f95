"""Look at dead letters, send one back, or let it go."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from dualrun.contracts.topology import service_queue, shadow_queue
from gateway.core.dead_letter import DeadLetter, DeadLetterStore
from gateway.core.errors import NotFound

__all__ = ["HandleDeadLetters"]

log = logging.getLogger(__name__)


class HandleDeadLetters:
    """What people do with dead letters; what they did is in the log."""

    def __init__(self, store: DeadLetterStore) -> None:
        self._store = store

    async def of_service(self, service: str) -> Sequence[DeadLetter]:
        """Those of both queues of a service, oldest first by queue, up to a thousand each.

        Raises `NotFound` where the service has no queue, `StoreUnavailable`.
        """
        found = [await self._store.read(queue) for queue in (service_queue(service), shadow_queue(service))]
        if all(letters is None for letters in found):
            raise NotFound(f"no service {service!r} keeps dead letters")
        return [letter for letters in found for letter in letters or ()]

    async def one(self, queue: str, id_: str) -> DeadLetter:
        """Raises `NotFound`, `StoreUnavailable`."""
        return _found(next((letter for letter in await self._store.read(queue) or () if letter.id == id_), None), queue, id_)

    async def replay(self, queue: str, id_: str, *, author: str) -> DeadLetter:
        """Send it back to its queue, under its id and with all its attempts before it. Raises `NotFound`, `StoreUnavailable`."""
        replayed = await self.replay_many(queue, [id_], author=author)
        return _found(next(iter(replayed), None), queue, id_)

    async def replay_many(self, queue: str, ids: Collection[str], *, author: str) -> Sequence[DeadLetter]:
        """Those of these ids that are still there. Raises `StoreUnavailable`."""
        letters = await self._store.replay(queue, ids)
        for letter in letters:
            log.info("dead_letter_replayed", extra={"queue": queue, "dead_letter_id": letter.id, "task": letter.task, "author": author})
        return letters

    async def discard(self, queue: str, id_: str, *, author: str, reason: str) -> DeadLetter:
        """Delete it, for a reason that is logged. Raises `NotFound`, `StoreUnavailable`."""
        discarded = await self.discard_many(queue, [id_], author=author, reason=reason)
        return _found(next(iter(discarded), None), queue, id_)

    async def discard_many(self, queue: str, ids: Collection[str], *, author: str, reason: str) -> Sequence[DeadLetter]:
        """Those of these ids that are still there, for a reason that is logged. Raises `StoreUnavailable`."""
        letters = await self._store.discard(queue, ids)
        for letter in letters:
            said = {"queue": queue, "dead_letter_id": letter.id, "task": letter.task, "author": author, "reason": reason}
            log.warning("dead_letter_discarded", extra={**said, "died_of": letter.reason})
        return letters


def _found(letter: DeadLetter | None, queue: str, id_: str) -> DeadLetter:
    if letter is None:
        raise NotFound(f"no dead letter {id_!r} of queue {queue!r}")
    return letter
