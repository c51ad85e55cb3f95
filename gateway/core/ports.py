"""What the use cases ask of the outside. Each port has a real adapter and an in-memory one, and one conformance suite for both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from dualrun.contracts import Outcome, Record, Role, ServedTask, Side, SubmissionRecord, Work
from gateway.core.comparison import Comparison, Verdict
from gateway.core.errors import DispatchFailed
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.report import ShadowReport, SubmissionView

__all__ = [
    "Catalogue",
    "Claim",
    "ClaimState",
    "Dispatcher",
    "FlagStore",
    "IdempotencyStore",
    "LedgerReader",
    "LedgerWriter",
    "OutcomeNotices",
    "Pair",
    "RecordBatch",
    "RecordSink",
    "RecordSource",
]


class Dispatcher(Protocol):
    """Hands work over to one side."""

    @property
    def side(self) -> Side: ...

    async def send(self, work: Work, served: ServedTask) -> None:
        """Return once the broker confirmed the message. Raises `DispatchFailed` only."""
        ...

    async def send_many(self, batch: Sequence[tuple[Work, ServedTask]]) -> list[DispatchFailed | None]:
        """As `send` for each, all in flight at once; an error or None each, in order."""
        ...


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


class Catalogue(Protocol):
    """Which tasks the sides serve, from memory: the hot path asks it for every submission."""

    def served_by(self, task: str) -> Mapping[Side, ServedTask]:
        """Per side that has ever announced the task, how it serves it. Empty where none has."""
        ...

    def names(self) -> Collection[str]:
        """Every task ever announced."""
        ...

    def live_workers(self, side: Side, task: str) -> int:
        """Workers alive now that serve the task."""
        ...


class FlagStore(Protocol):
    """Where flags live; every gateway sees the same versions."""

    @property
    def snapshot(self) -> FlagSnapshot:
        """The flags in force, from memory; the last known good ones while the store is away."""
        ...

    async def latest(self) -> FlagSnapshot:
        """The flags in force, asked of the store instead of memory, and from now on in memory. Raises `StoreUnavailable`."""
        ...

    async def replace(
        self, flags: Mapping[str, Flag], *, expected_version: int | None, author: str, reason: str, source: str
    ) -> FlagSnapshot:
        """Put a new version in force, everywhere.

        Raises `FlagConflict` when `expected_version` is given and is not the present one, `StoreUnavailable`.
        """
        ...

    async def history(self, *, before: int | None = None, limit: int = 50) -> Sequence[FlagSnapshot]:
        """The latest versions kept (those below `before`), newest first. Raises `StoreUnavailable`."""
        ...


class ClaimState(StrEnum):
    """What an idempotency key stands for."""

    NEW = "new"
    """Claimed now: go on, then `complete` or `release`."""
    DONE = "done"
    """Its request was accepted: answer the same again."""
    IN_PROGRESS = "in_progress"
    """Its first request is still under way."""
    MISMATCH = "mismatch"
    """It was used for a different request."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The state of a key and the submission it belongs to."""

    state: ClaimState
    submission_id: str
    response: bytes | None = None


class IdempotencyStore(Protocol):
    """Idempotency keys. A claim nobody completes is free again after its lease, under the same submission id."""

    async def claim(self, key: str, fingerprint: str, submission_id: str) -> Claim:
        """Atomic. Raises `StoreUnavailable`."""
        ...

    async def complete(self, key: str, response: bytes) -> None:
        """Keep the answer for repeats. Raises `StoreUnavailable`."""
        ...

    async def release(self, key: str) -> None:
        """Nothing was published: the key is free. Raises `StoreUnavailable`."""
        ...


class OutcomeNotices(Protocol):
    """Wakes whoever waits for an outcome. A notice is a hint: who misses one asks the ledger."""

    async def notify(self, submission_ids: Sequence[str]) -> None:
        """Tell every gateway. Never raises."""
        ...

    async def wait(self, submission_id: str, timeout_s: float) -> bool:
        """True when a notice for it came within the time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What the ledger has of a submission whose sides are to be compared."""

    record: SubmissionRecord
    outcomes: Mapping[Role, Outcome]
    arrived_at: Mapping[Role, datetime]
    verdict: Verdict | None = None
    """The verdict already stored, if any."""


class LedgerWriter(Protocol):
    """The writing half: used by the comparator alone. Every call may be repeated without changing anything twice."""

    async def append(self, records: Sequence[Record], *, arrived_at: datetime) -> Sequence[str]:
        """Store in one transaction; the first outcome of a (submission, role) counts. Gives the ids of the submissions touched.

        Raises `StoreUnavailable`.
        """
        ...

    async def pairs(self, submission_ids: Sequence[str]) -> Sequence[Pair]:
        """Those of the submissions that were decided with a shadow and are not finally compared. Raises `StoreUnavailable`."""
        ...

    async def overdue(self, submitted_before: datetime, limit: int) -> Sequence[Pair]:
        """Pairs not compared whose submission (or eta, if later) is older than that, oldest first. Raises `StoreUnavailable`."""
        ...

    async def store(self, comparisons: Sequence[Comparison]) -> None:
        """Store comparisons with their counters and groups in one transaction. Only missing may be replaced, by late.

        Raises `StoreUnavailable`.
        """
        ...


class LedgerReader(Protocol):
    """The reading half, for the faces."""

    async def submission(self, submission_id: str) -> SubmissionView | None:
        """Everything known of one submission. Raises `StoreUnavailable`."""
        ...

    async def shadow_report(self, task: str | None, *, since: datetime | None, until: datetime | None, now: datetime) -> ShadowReport:
        """From counters and groups, so that its cost does not grow with traffic. Raises `StoreUnavailable`."""
        ...
