"""Records through a message broker: the sink packs them into messages, the source hands them out in batches."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass

from dualrun.broker import Broker, Delivery, Message, Outgoing
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Record, UnreadableRecords, decode_records, encode_records, sort_records
from dualrun.contracts.topology import HEADER_DEAD_REASON, RECORDS_QUEUE, dead_letter_queue
from dualrun.errors import BrokerError, DualrunError, Unroutable
from gateway.core.errors import StoreUnavailable
from gateway.core.ports import RecordBatch

__all__ = ["BrokerRecordSink", "BrokerRecordSource"]

log = logging.getLogger(__name__)

RECORDS_AT_ONCE = 500
_MESSAGE_BYTES = 1 << 20
_REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some records of one call: the members of a JSON array, without its brackets."""

    members: bytes
    count: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    chunks: Sequence[_Chunk]
    stored: asyncio.Future[None]


class BrokerRecordSink:
    """Implements `RecordSink`: records are durable once the broker has confirmed them.

    What is appended while a confirm is awaited goes out together, in messages of up to 500 records or about 1 MiB.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._waiting: list[_Waiting] = []
        self._sending: asyncio.Task[None] | None = None
        self._is_declared = False

    async def append(self, records: Sequence[Record]) -> None:
        if not records:
            return
        # Encoded here, so that a record that cannot be fails its own caller and nobody else.
        waiting = _Waiting(_chunks(records), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all(), name="send records")
        await waiting.stored

    async def close(self) -> None:
        """Return once nothing is on its way."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting, []
                await self._send(taken)
        finally:
            self._sending = None

    async def _send(self, taken: list[_Waiting]) -> None:
        error: Exception | None = StoreUnavailable("records are not confirmed: the process is leaving")
        try:
            error = await self._publish([chunk for waiting in taken for chunk in waiting.chunks])
        except DualrunError as exc:
            error = exc
        finally:
            for waiting in taken:
                _settle(waiting.stored, error)

    async def _publish(self, chunks: Sequence[_Chunk]) -> BrokerError | None:
        messages = [Outgoing("", RECORDS_QUEUE, Message(body=body)) for body in _packed(chunks)]
        await self._declare()
        errors = await self._broker.publish_many(messages)
        if any(isinstance(error, Unroutable) for error in errors):
            # Somebody deleted the queue since it was declared.
            self._is_declared = False
            await self._declare()
            errors = await self._broker.publish_many(messages)
        return next((error for error in errors if error is not None), None)

    async def _declare(self) -> None:
        if not self._is_declared:
            await self._broker.declare(RECORDS_TOPOLOGY)
            self._is_declared = True


class BrokerRecordSource:
    """Implements `RecordSource`. What cannot be read is dead-lettered, and nothing that came with it."""

    def __init__(self, broker: Broker, *, prefetch: int = 200) -> None:
        self._broker = broker
        self._prefetch = prefetch

    async def batches(self) -> AsyncGenerator[RecordBatch, None]:
        """As the port says; a batch is what waits, up to 500 records and one message more. Raises `BrokerUnavailable` at the start."""
        arrived: deque[Delivery] = deque()
        unreadable: list[tuple[Delivery, str]] = []
        taken: BrokerRecordBatch | None = None
        something = asyncio.Event()

        def keep(delivery: Delivery) -> None:
            arrived.append(delivery)
            something.set()

        await self._broker.declare(RECORDS_TOPOLOGY)
        consumer = await self._broker.consume(RECORDS_QUEUE, keep, prefetch=self._prefetch)
        try:
            while True:
                await something.wait()
                batch = taken = _take(arrived, unreadable)
                if not arrived:
                    something.clear()
                while unreadable:
                    await self._put_aside(*unreadable[0])
                    del unreadable[0]
                taken = None
                if batch is not None:
                    yield batch
        finally:
            await consumer.cancel()
            for delivery in (*arrived, *(delivery for delivery, _ in unreadable)):
                delivery.requeue()
            if taken is not None:
                taken.put_back()

    async def _put_aside(self, delivery: Delivery, reason: str) -> None:
        """Part what cannot be read from what can, which comes again as a message of its own: their outcomes were acked long ago."""
        log.error("records_unreadable", extra={"reason": reason, "message_id": delivery.message.message_id})
        try:
            readable, unreadable = sort_records(delivery.message.body)
        except UnreadableRecords:
            delivery.dead_letter()
            return
        if readable == b"[]" and len(unreadable) == 1:
            delivery.dead_letter()
            return
        dead = dead_letter_queue(RECORDS_QUEUE)
        messages = [Outgoing("", dead, Message(body=body, headers={HEADER_DEAD_REASON: why[:_REASON_MAX]})) for body, why in unreadable]
        if readable != b"[]":
            messages.append(Outgoing("", RECORDS_QUEUE, Message(body=readable)))
        # Twice changes nothing: what is confirmed before an error comes again with the rest.
        if any(await self._broker.publish_many(messages)):
            delivery.requeue()
        else:
            delivery.ack()


class BrokerRecordBatch:
    """Implements `RecordBatch`."""

    def __init__(self, records: Sequence[Record], deliveries: Sequence[Delivery]) -> None:
        self._records = records
        self._deliveries = deliveries

    @property
    def records(self) -> Sequence[Record]:
        return self._records

    def done(self) -> None:
        for delivery in self._settle():
            delivery.ack()

    def put_back(self) -> None:
        for delivery in self._settle():
            delivery.requeue()

    def _settle(self) -> Sequence[Delivery]:
        deliveries, self._deliveries = self._deliveries, ()
        return deliveries


def _take(arrived: deque[Delivery], unreadable: list[tuple[Delivery, str]]) -> BrokerRecordBatch | None:
    """A batch, if there is any; deliveries of which something cannot be read go to `unreadable`, with the reason."""
    records: list[Record] = []
    deliveries: list[Delivery] = []
    while arrived and len(records) < RECORDS_AT_ONCE:
        delivery = arrived.popleft()
        try:
            records += decode_records(delivery.message.body)
        except UnreadableRecords as exc:
            unreadable.append((delivery, str(exc)))
        else:
            deliveries.append(delivery)
    return BrokerRecordBatch(records, deliveries) if deliveries else None


def _chunks(records: Sequence[Record]) -> list[_Chunk]:
    if len(records) <= RECORDS_AT_ONCE:
        members = encode_records(records)[1:-1]
        if len(members) <= _MESSAGE_BYTES or len(records) == 1:
            return [_Chunk(members, len(records))]
    half = len(records) // 2
    return [*_chunks(records[:half]), *_chunks(records[half:])]


def _packed(chunks: Sequence[_Chunk]) -> Iterator[bytes]:
    """Message bodies that hold the chunks, in order."""
    members: list[bytes] = []
    count = size = 0
    for chunk in chunks:
        if members and (count + chunk.count > RECORDS_AT_ONCE or size + len(chunk.members) > _MESSAGE_BYTES):
            yield b"[" + b",".join(members) + b"]"
            members, count, size = [], 0, 0
        members.append(chunk.members)
        count += chunk.count
        size += len(chunk.members)
    if members:
        yield b"[" + b",".join(members) + b"]"


def _settle(stored: asyncio.Future[None], error: Exception | None) -> None:
    """Tell the caller; one that gave up waiting is told nothing. Perhaps some are stored in spite of the error: twice changes nothing."""
    if stored.done():
        return
    if error is None:
        stored.set_result(None)
        return
    unavailable = StoreUnavailable(f"records are not confirmed: {error}")
    unavailable.__cause__ = error
    stored.set_exception(unavailable)
