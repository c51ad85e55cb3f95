"""How records travel from those who make them to the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from dualrun.contracts import Record

__all__ = ["RecordBatch", "RecordSink", "RecordSource"]


class RecordSink(Protocol):
    """Puts records on their way to the ledger."""

    async def append(self, records: Sequence[Record]) -> None:
        """Return once they are durable. Raises `StoreUnavailable`."""
        ...


class RecordBatch(Protocol):
    """Records in hand, to be settled exactly once."""

    @property
    def records(self) -> Sequence[Record]: ...

    def done(self) -> None:
        """They are in the ledger."""
        ...

    def put_back(self) -> None:
        """They are not; somebody shall try again."""
        ...


class RecordSource(Protocol):
    """Gives records to whoever writes the ledger; several may compete."""

    def batches(self) -> AsyncIterator[RecordBatch]:
        """Batches as they come, each as large as what waits (bounded). An unreadable message is dead-lettered, not delivered."""
        ...
