"""Records through a broker: the one in memory, and RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dualrun.broker import Broker, Delivery, Message
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Outcome, Record, encode_records
from dualrun.contracts.topology import HEADER_DEAD_REASON, RECORDS_QUEUE, dead_letter_queue
from gateway.core.errors import StoreUnavailable
from gateway.outcomes.broker import BrokerRecordSink, BrokerRecordSource
from tests.support.records import a_record, an_outcome


@pytest.fixture
async def broker(broker: Broker) -> Broker:
    """With the queue of records."""
    await broker.declare(RECORDS_TOPOLOGY)
    return broker


async def take(source: BrokerRecordSource, count: int, *, settle: bool = True) -> list[Record]:
    """That many records, settled as they come."""
    found: list[Record] = []
    batches = source.batches()
    while len(found) < count:
        batch = await asyncio.wait_for(anext(batches), 10)
        found += batch.records
        batch.done() if settle else batch.put_back()
    await batches.aclose()
    return found


async def test_records_come_out_as_they_went_in(broker: Broker) -> None:
    records: Sequence[Record] = [a_record(kwargs={"n": 2**70, "nul": "\x00"}), an_outcome(value=[1, "é"])]
    await BrokerRecordSink(broker).append(records)
    assert await take(BrokerRecordSource(broker), 2) == records


async def test_what_is_appended_at_once_goes_out_in_few_messages(broker: Broker) -> None:
    sink = BrokerRecordSink(broker)
    await asyncio.gather(*(sink.append([an_outcome(f"s{n}")]) for n in range(1_200)))
    messages = 0

    def count(body: bytes) -> int:
        return body.count(b'"record":"outcome"')

    sizes: list[int] = []
    everything = asyncio.Event()

    def keep(delivery: Delivery) -> None:
        nonlocal messages
        messages += 1
        sizes.append(count(delivery.message.body))
        delivery.ack()
        if sum(sizes) == 1_200:
            everything.set()

    consumer = await broker.consume(RECORDS_QUEUE, keep, prefetch=100)
    await asyncio.wait_for(everything.wait(), 10)
    await consumer.cancel()
    assert messages <= 5
    assert max(sizes) <= 500


async def test_one_call_with_more_records_than_a_message_holds_is_all_there(broker: Broker) -> None:
    records = [an_outcome(f"s{n}") for n in range(1_201)]
    await BrokerRecordSink(broker).append(records)
    found = await take(BrokerRecordSource(broker), 1_201)
    assert {record.submission_id for record in found if isinstance(record, Outcome)} == {f"s{n}" for n in range(1_201)}


async def test_large_records_are_spread_over_messages(broker: Broker) -> None:
    records = [an_outcome(f"s{n}", value="x" * 400_000) for n in range(6)]
    await BrokerRecordSink(broker).append(records)
    assert await take(BrokerRecordSource(broker), 6) == records


async def test_what_was_not_settled_comes_again(broker: Broker) -> None:
    await BrokerRecordSink(broker).append([an_outcome()])
    assert await take(BrokerRecordSource(broker), 1, settle=False) == [an_outcome()]
    assert await take(BrokerRecordSource(broker), 1) == [an_outcome()]


async def test_closing_gives_back_what_was_not_handed_out(broker: Broker) -> None:
    sink, source = BrokerRecordSink(broker), BrokerRecordSource(broker, prefetch=10)
    for n in range(3):
        await sink.append([an_outcome(f"s{n}") for _ in range(500)])
    batches = source.batches()
    first = await asyncio.wait_for(anext(batches), 10)
    first.done()
    await batches.aclose()
    rest = await take(source, 1_500 - len(first.records))
    assert len(first.records) + len(rest) == 1_500


@pytest.mark.parametrize("body", [b"", b"not json", b"{}", b'[{"record":"outcome"}]', b'[{"record":"else"}]', b"\xff", b"[" * 100_000])
async def test_a_message_that_holds_no_records_is_put_aside_and_blocks_nothing(broker: Broker, body: bytes) -> None:
    await broker.publish("", RECORDS_QUEUE, Message(body=body))
    await broker.publish("", RECORDS_QUEUE, Message(body=encode_records([an_outcome()])))
    assert await take(BrokerRecordSource(broker), 1) == [an_outcome()]
    put_aside: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def keep(delivery: Delivery) -> None:
        put_aside.set_result(delivery.message.body)
        delivery.ack()

    consumer = await broker.consume(dead_letter_queue(RECORDS_QUEUE), keep, prefetch=1)
    assert await asyncio.wait_for(put_aside, 10) == body
    await consumer.cancel()


async def test_a_record_that_cannot_be_read_costs_only_itself(broker: Broker) -> None:
    bad = encode_records([an_outcome("bad")])[1:-1].replace(b'"submission_id":"bad"', b'"submission_id":null')
    good = [an_outcome("first"), an_outcome("last")]
    first, last = (encode_records([outcome])[1:-1] for outcome in good)
    await broker.publish("", RECORDS_QUEUE, Message(body=b"[" + first + b"," + bad + b"," + last + b"," + b"7" + b"]"))
    assert await take(BrokerRecordSource(broker), 2) == good
    put_aside: asyncio.Queue[Message] = asyncio.Queue()

    def keep(delivery: Delivery) -> None:
        put_aside.put_nowait(delivery.message)
        delivery.ack()

    consumer = await broker.consume(dead_letter_queue(RECORDS_QUEUE), keep, prefetch=10)
    async with asyncio.timeout(10):
        letters = [await put_aside.get(), await put_aside.get()]
    await consumer.cancel()
    assert [letter.body for letter in letters] == [b"[" + bad + b"]", b"[7]"]
    assert "submission_id" in str(letters[0].headers[HEADER_DEAD_REASON])
    depth = await broker.depth(RECORDS_QUEUE)
    assert depth is not None
    assert depth.ready == 0


async def test_an_empty_array_is_settled_like_any_message(broker: Broker) -> None:
    await broker.publish("", RECORDS_QUEUE, Message(body=b"[]"))
    await BrokerRecordSink(broker).append([an_outcome()])
    assert await take(BrokerRecordSource(broker), 1) == [an_outcome()]


async def test_appending_nothing_sends_nothing(broker: Broker) -> None:
    await BrokerRecordSink(broker).append([])
    depth = await broker.depth(RECORDS_QUEUE)
    assert depth is not None
    assert depth.ready == 0


async def test_without_a_broker_every_caller_is_told() -> None:
    broker = MemoryBroker()
    await broker.connect()
    await broker.close()
    sink = BrokerRecordSink(broker)
    answers = await asyncio.gather(*(sink.append([an_outcome(f"s{n}")]) for n in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3


async def test_a_record_that_cannot_be_encoded_fails_its_own_caller_alone() -> None:
    broker = MemoryBroker()
    await broker.connect()
    sink = BrokerRecordSink(broker)
    bad, good = await asyncio.gather(sink.append([an_outcome(value="\ud800")]), sink.append([an_outcome()]), return_exceptions=True)
    assert isinstance(bad, UnicodeEncodeError)
    assert good is None


async def test_a_caller_that_stops_waiting_takes_nobody_with_it() -> None:
    broker = MemoryBroker()
    await broker.connect()
    sink = BrokerRecordSink(broker)
    impatient = asyncio.create_task(sink.append([an_outcome("s1")]))
    patient = asyncio.create_task(sink.append([an_outcome("s2")]))
    await asyncio.sleep(0)
    impatient.cancel()
    await patient
    await sink.close()
    assert len(await take(BrokerRecordSource(broker), 2)) == 2
