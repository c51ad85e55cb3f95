"""Outcomes on their way to the ledger. A delivery is acked only when its outcome is durable."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from dualrun.background import cancelled
from dualrun.broker import Broker, Delivery, Message, Outgoing
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Failure, Outcome, State, encode_records
from dualrun.contracts.topology import RECORDS_QUEUE
from dualrun.errors import Unroutable

__all__ = ["BrokerOutcomeSink", "OutcomeSink", "Recorder", "encode_outcome"]

log = logging.getLogger(__name__)

_MESSAGE_MAX_BYTES = 1 << 20
_UNENCODABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)


class OutcomeSink(Protocol):
    """Where outcomes go."""

    async def append(self, outcomes: Sequence[Outcome]) -> None:
        """Return once they are durable. May raise anything when they are not; the same outcomes then come again."""
        ...


class BrokerOutcomeSink:
    """An `OutcomeSink` that packs outcomes into messages of about 1 MiB on the queue of records."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._is_declared = False

    async def append(self, outcomes: Sequence[Outcome]) -> None:
        """Raises a `BrokerError`; what was confirmed before it will come twice, which changes nothing."""
        if not self._is_declared:
            await self._broker.declare(RECORDS_TOPOLOGY)
            self._is_declared = True
        messages = [Outgoing("", RECORDS_QUEUE, Message(body=body)) for body in _bodies(outcomes)]
        for error in await self._broker.publish_many(messages):
            if isinstance(error, Unroutable):
                self._is_declared = False
            if error is not None:
                raise error


def _bodies(outcomes: Sequence[Outcome]) -> list[bytes]:
    try:
        body = encode_records(outcomes)
    except _UNENCODABLE:
        return _bodies_one_by_one(outcomes)
    return [body] if len(body) <= _MESSAGE_MAX_BYTES else _bodies_one_by_one(outcomes)


def _bodies_one_by_one(outcomes: Sequence[Outcome]) -> list[bytes]:
    bodies: list[bytes] = []
    members: list[bytes] = []
    size = 0
    for member in map(encode_outcome, outcomes):
        if members and size + len(member) > _MESSAGE_MAX_BYTES:
            bodies.append(b"[" + b",".join(members) + b"]")
            members, size = [], 0
        members.append(member)
        size += len(member)
    bodies.append(b"[" + b",".join(members) + b"]")
    return bodies


def encode_outcome(outcome: Outcome) -> bytes:
    """One record, without the array around it. One that JSON cannot carry becomes a failure that says so."""
    try:
        return encode_records([outcome])[1:-1]
    except _UNENCODABLE as exc:
        # Effects and spans hold what users' code gave. One that JSON cannot carry must not hold up its outcome for ever.
        log.exception("outcome_unserializable", extra={"submission_id": outcome.submission_id, "task": outcome.task})
        failure = Failure(kind="UnserializableValue", message=f"the outcome cannot be written: {type(exc).__name__}")
        bare = msgspec.structs.replace(
            outcome,
            state=State.FAILED,
            value=None,
            failure=failure,
            effects=(),
            effects_dropped=outcome.effects_dropped + len(outcome.effects),
            spans=(),
            spans_dropped=outcome.spans_dropped + len(outcome.spans),
        )
        return encode_records([bare])[1:-1]


class Recorder:
    """Hands outcomes to a sink, all that ended while the ones before were being confirmed at once, and acks their deliveries."""

    def __init__(self, sink: OutcomeSink) -> None:
        self._sink = sink
        self._pending: list[tuple[Outcome, Delivery, Callable[[], None] | None]] = []
        self._something = asyncio.Event()
        self._nothing = asyncio.Event()
        self._nothing.set()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to hand on."""
        self._running = asyncio.create_task(self._run(), name="recorder")

    def add(self, outcome: Outcome, delivery: Delivery, on_acked: Callable[[], None] | None = None) -> None:
        """Take over the delivery: it is acked once the outcome is durable."""
        self._pending.append((outcome, delivery, on_acked))
        self._something.set()
        self._nothing.clear()

    async def stop(self, patience_s: float) -> None:
        """Wait so long until all is durable; put back what is not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._nothing.wait()
        await cancelled(self._running)
        for outcome, delivery, _ in self._pending:
            log.warning("outcome_put_back", extra={"submission_id": outcome.submission_id, "task": outcome.task})
            delivery.requeue()
        self._pending.clear()
        self._nothing.set()

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            taken = list(self._pending)
            await self._append([outcome for outcome, _, _ in taken])
            for _, delivery, on_acked in taken:
                delivery.ack()
                if on_acked is not None:
                    on_acked()
            # Only now do they leave the list: until they are acked, `stop` answers for them.
            del self._pending[: len(taken)]
            if not self._pending:
                self._something.clear()
                self._nothing.set()

    async def _append(self, outcomes: Sequence[Outcome]) -> None:
        failures = 0
        while True:
            try:
                await self._sink.append(outcomes)
            except Exception as exc:  # noqa: BLE001 - the consumer loop: the sink may be anybody's, and nothing is acked before it succeeds
                log.warning("outcomes_not_recorded", extra={"count": len(outcomes), "error": str(exc)})
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
            else:
                return
