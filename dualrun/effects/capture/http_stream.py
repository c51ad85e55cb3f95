"""The body of an answer that a task reads piece by piece: kept for the shadow once it was read to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from dualrun.effects.answers import ANSWER_MAX_BYTES
from dualrun.effects.capture.http_call import OutgoingCall

__all__ = ["StreamedBody"]


class StreamedBody:
    """Collects what the task reads, as far as an answer may be kept."""

    __slots__ = ("_asking", "_call", "_chunks", "_headers", "_size", "_status")

    def __init__(self, call: OutgoingCall, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self._call: OutgoingCall | None = call
        self._status = status
        self._headers = tuple(headers)
        self._chunks: list[bytes] = []
        self._size = 0
        self._asking = False
        """True while the library reads on: it closes at the end by itself, and there is nothing more to read then."""

    def read(self, chunk: bytes) -> None:
        """The task read that."""
        self._size += len(chunk)
        if self._size <= ANSWER_MAX_BYTES:
            self._chunks.append(chunk)

    def ended(self) -> None:
        """There is nothing more to read."""
        self._answer(b"".join(self._chunks) if self._size <= ANSWER_MAX_BYTES else None)

    def closed(self) -> None:
        """The task wants no more. One that read nothing wanted the status; what was read in part cannot be given again."""
        if not self._asking:
            self._answer(None if self._size else b"")

    def lost(self) -> None:
        """What the task reads is not what a shadow could be given."""
        self._answer(None)

    def tee(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks."""
        self._asking = True
        for chunk in chunks:
            self._asking = False
            self.read(chunk)
            yield chunk
            self._asking = True
        self.ended()

    async def tee_async(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same chunks."""
        self._asking = True
        async for chunk in chunks:
            self._asking = False
            self.read(chunk)
            yield chunk
            self._asking = True
        self.ended()

    def _answer(self, body: bytes | None) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.answered(self._status, self._headers, lambda: body)
