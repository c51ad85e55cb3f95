"""Dead letters on each broker: looked at without losing any, replayed, discarded."""

from __future__ import annotations

import pytest

from dualrun.broker import Broker, HeaderValue, Message, Queue, Topology
from dualrun.broker.memory import MemoryBroker
from dualrun.contracts.topology import HEADER_ATTEMPT, HEADER_DEAD_REASON, HEADER_DEAD_TRACEBACK, HEADER_SUBMISSION_ID, dead_letter_queue
from gateway.core.errors import StoreUnavailable
from gateway.dispatch.dead_letters import BrokerDeadLetters
from tests.support.eventually import becomes
from tests.support.inbox import Inbox
from tests.support.services import unique_name


@pytest.fixture
async def queue(broker: Broker) -> str:
    """A queue with an empty queue of dead letters."""
    name = unique_name("dead")
    await broker.declare(Topology(queues=(Queue(name=name), Queue(name=dead_letter_queue(name)))))
    return name


async def bury(broker: Broker, queue: str, count: int = 1) -> None:
    for number in range(count):
        headers: dict[str, HeaderValue] = {
            HEADER_DEAD_REASON: "failed after 2 attempts: KeyError: 1",
            HEADER_DEAD_TRACEBACK: "Traceback",
            HEADER_ATTEMPT: "2",
            HEADER_SUBMISSION_ID: f"s-{number}",
            "cloudEvents:type": "order.confirm",
            "x-death": [{"queue": queue, "reason": "rejected"}],
            "traceparent": "00-1",
        }
        message = Message(body=b'{"n":%d}' % number, headers=headers, message_id=f"m-{number}")
        await broker.publish("", dead_letter_queue(queue), message)


async def ready(broker: Broker, queue: str) -> int:
    depth = await broker.depth(queue)
    return -1 if depth is None else depth.ready


async def test_a_dead_letter_says_what_it_was_and_why_it_died(broker: Broker, queue: str) -> None:
    await bury(broker, queue)
    (letter,) = await BrokerDeadLetters(broker).read(queue) or ()
    assert (letter.id, letter.queue, letter.task, letter.submission_id) == ("m-0", queue, "order.confirm", "s-0")
    assert (letter.reason, letter.attempts, letter.traceback) == ("failed after 2 attempts: KeyError: 1", 2, "Traceback")
    assert letter.body == '{"n":0}'
    assert letter.headers["traceparent"] == "00-1"


async def test_looking_takes_none_away_however_often(broker: Broker, queue: str) -> None:
    await bury(broker, queue, 5)
    store = BrokerDeadLetters(broker)
    for _ in range(25):
        assert {letter.id for letter in await store.read(queue) or ()} == {f"m-{number}" for number in range(5)}
    await becomes(lambda: ready(broker, dead_letter_queue(queue)), 5)


async def test_one_looked_at_often_is_replaced_before_a_broker_would_drop_it(broker: Broker, queue: str) -> None:
    await bury(broker, queue)
    for _ in range(25):
        await BrokerDeadLetters(broker).read(queue)
    inbox = Inbox()
    await broker.consume(dead_letter_queue(queue), inbox, prefetch=1)
    assert (await inbox.take()).delivery_count < 20


async def test_a_replayed_one_is_in_its_queue_under_its_id_with_all_its_attempts_before_it(broker: Broker, queue: str) -> None:
    await bury(broker, queue, 3)
    store = BrokerDeadLetters(broker)
    assert [letter.id for letter in await store.replay(queue, ["m-1"])] == ["m-1"]
    inbox = Inbox()
    await broker.consume(queue, inbox, prefetch=1)
    message = (await inbox.take()).message
    assert (message.message_id, message.body) == ("m-1", b'{"n":1}')
    assert dict(message.headers) == {HEADER_SUBMISSION_ID: "s-1", "cloudEvents:type": "order.confirm", "traceparent": "00-1"}
    await becomes(lambda: ready(broker, dead_letter_queue(queue)), 2)
    assert await store.replay(queue, ["m-1"]) == []


async def test_one_that_cannot_be_replayed_stays(broker: Broker) -> None:
    orphan = unique_name("orphan")
    await broker.declare(Topology(queues=(Queue(name=dead_letter_queue(orphan)),)))
    await bury(broker, orphan)
    with pytest.raises(StoreUnavailable):
        await BrokerDeadLetters(broker).replay(orphan, ["m-0"])
    await becomes(lambda: ready(broker, dead_letter_queue(orphan)), 1)


async def test_discarded_ones_are_gone_and_the_others_stay(broker: Broker, queue: str) -> None:
    await bury(broker, queue, 4)
    store = BrokerDeadLetters(broker)
    assert [letter.id for letter in await store.discard(queue, ["m-2", "gone", "m-0"])] == ["m-0", "m-2"]
    await becomes(lambda: ready(broker, dead_letter_queue(queue)), 2)
    assert [letter.id for letter in await store.read(queue) or ()] == ["m-1", "m-3"]


async def test_nothing_there_is_told_from_no_such_queue(broker: Broker, queue: str) -> None:
    store = BrokerDeadLetters(broker)
    assert await store.read(queue) == []
    assert await store.read("nowhere") is None
    assert (await store.replay("nowhere", ["m"]), await store.discard(queue, ["m"])) == ([], [])


async def test_a_broker_out_of_reach_is_said_so() -> None:
    with pytest.raises(StoreUnavailable):
        await BrokerDeadLetters(MemoryBroker()).read("q")
