"""Both dispatchers on both brokers: confirmed, or a failure that says what may have happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from dualrun.broker import Binding, Broker, Delivery, Exchange, Message, Overflow, Queue, Topology
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts import (
    Decision,
    JsonValue,
    Mode,
    Options,
    Parameter,
    Reason,
    Role,
    Safety,
    ServedTask,
    Side,
    Submission,
    Work,
    event_from_message,
)
from dualrun.contracts.topology import (
    EVENTS_EXCHANGE,
    HEADER_ETA,
    HEADER_EXPIRES,
    HEADER_ROLE,
    HEADER_SAFETY,
    HEADER_SERVICE,
    SHADOW_EXCHANGE,
)
from gateway.core.errors import DispatchFailed
from gateway.core.ports import Dispatcher
from gateway.dispatch.celery import CeleryDispatcher
from gateway.dispatch.events import HEADER_POSITIONAL, EventsDispatcher

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOPOLOGY = Topology(
    exchanges=(Exchange(EVENTS_EXCHANGE), Exchange(SHADOW_EXCHANGE)),
    queues=(Queue(name="work"), Queue(name="shadow"), Queue(name="full", max_length=1, overflow=Overflow.REJECT_PUBLISH)),
    bindings=(Binding(EVENTS_EXCHANGE, "work", "auth.send"), Binding(SHADOW_EXCHANGE, "shadow", "auth.send")),
)
PARAMETERS = (Parameter(name="user_id"), Parameter(name="email", required=False))
DISPATCHERS: dict[Side, Callable[[Broker], Dispatcher]] = {Side.LEGACY: CeleryDispatcher, Side.EVENTS: EventsDispatcher}
QUEUES = {(Side.LEGACY, Role.AUTHORITY): "work", (Side.EVENTS, Role.AUTHORITY): "work", (Side.EVENTS, Role.SHADOW): "shadow"}


def a_work(
    side: Side,
    *args: JsonValue,
    role: Role = Role.AUTHORITY,
    task: str = "auth.send",
    options: Options | None = None,
    submission_id: str = "s-1",
) -> Work:
    return Work(
        submission=Submission(
            id=submission_id, task=task, args=args, options=options or Options(), cohort_key="k", submitted_at=NOW, traceparent="00-a-b-01"
        ),
        decision=Decision(mode=Mode.SHADOW, authority=Side.LEGACY, shadow=None, reason=Reason.BY_MODE, bucket=None, flag_version=3),
        side=side,
        role=role,
    )


def served(side: Side, task: str = "auth.send", routing_key: str = "work") -> ServedTask:
    return ServedTask(task=task, parameters=PARAMETERS, routing_key=routing_key if side is Side.LEGACY else "")


@asynccontextmanager
async def opened(broker: Broker) -> AsyncIterator[Broker]:
    await broker.connect()
    await broker.declare(TOPOLOGY)
    yield broker
    await broker.close()


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.services)])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    made: Broker = MemoryBroker() if request.param == "memory" else RabbitBroker(request.getfixturevalue("amqp_url"))
    async with opened(made) as broker:
        yield broker
        for queue in TOPOLOGY.queues:
            await drained(broker, queue.name)


async def received(broker: Broker, queue: str, count: int) -> list[Message]:
    messages: list[Message] = []
    enough = asyncio.Event()

    def on_delivery(delivery: Delivery) -> None:
        messages.append(delivery.message)
        delivery.ack()
        if len(messages) >= count:
            enough.set()

    consumer = await broker.consume(queue, on_delivery, prefetch=10)
    await asyncio.wait_for(enough.wait(), 10)
    await consumer.cancel()
    return messages


async def drained(broker: Broker, queue: str) -> None:
    depth = await broker.depth(queue)
    if depth is not None and depth.ready:
        await received(broker, queue, depth.ready)


@pytest.mark.parametrize(("side", "role"), QUEUES)
async def test_what_was_sent_is_in_the_queue(broker: Broker, side: Side, role: Role) -> None:
    dispatcher = DISPATCHERS[side](broker)
    assert dispatcher.side is side
    await dispatcher.send(a_work(side, 1, role=role), served(side))
    (message,) = await received(broker, QUEUES[side, role], 1)
    assert message.headers[HEADER_ROLE] == role.value
    assert message.headers["traceparent"] == "00-a-b-01"
    assert HEADER_SAFETY not in message.headers


@pytest.mark.parametrize(("side", "role"), QUEUES)
async def test_the_safety_class_goes_with_the_shadow_alone(broker: Broker, side: Side, role: Role) -> None:
    work = a_work(side, 1, role=role)
    work = msgspec.structs.replace(work, decision=msgspec.structs.replace(work.decision, safety=Safety.PURE))
    await DISPATCHERS[side](broker).send(work, served(side))
    (message,) = await received(broker, QUEUES[side, role], 1)
    assert message.headers.get(HEADER_SAFETY) == ("pure" if role is Role.SHADOW else None)


@pytest.mark.parametrize("side", Side)
async def test_no_queue_is_a_failure_and_nothing_was_published(broker: Broker, side: Side) -> None:
    with pytest.raises(DispatchFailed) as caught:
        await DISPATCHERS[side](broker).send(a_work(side, 1, task="auth.nobody"), served(side, "auth.nobody", "nowhere"))
    assert (caught.value.side, caught.value.maybe_published) == (side, False)


@pytest.mark.parametrize("side", Side)
async def test_a_batch_answers_for_each_in_order(broker: Broker, side: Side) -> None:
    batch = [
        (a_work(side, 1, submission_id="s-1"), served(side)),
        (a_work(side, 1, task="auth.nobody"), served(side, "auth.nobody", "nowhere")),
        (a_work(side, 2, submission_id="s-2"), served(side)),
    ]
    answers = await DISPATCHERS[side](broker).send_many(batch)
    assert [answer is None for answer in answers] == [True, False, True]
    messages = await received(broker, "work", 2)
    assert [message.correlation_id for message in messages] == ["s-1", "s-2"]


async def test_what_cannot_be_written_fails_alone(broker: Broker) -> None:
    pickled = msgspec.structs.replace(served(Side.LEGACY), serializer="pickle")
    batch = [(a_work(Side.LEGACY, 1), pickled), (a_work(Side.LEGACY, 2), served(Side.LEGACY))]
    answers = await CeleryDispatcher(broker).send_many(batch)
    assert [answer is None for answer in answers] == [False, True]
    too_many = await EventsDispatcher(broker).send_many([(a_work(Side.EVENTS, 1, 2, 3), served(Side.EVENTS))])
    assert isinstance(too_many[0], DispatchFailed)
    with pytest.raises(DispatchFailed):
        await EventsDispatcher(broker).send(a_work(Side.EVENTS), served(Side.EVENTS))


async def test_an_event_is_the_submission_by_name(broker: Broker) -> None:
    work = a_work(Side.EVENTS, 7, options=Options(eta=NOW, expires=NOW))
    await EventsDispatcher(broker).send(work, served(Side.EVENTS))
    (message,) = await received(broker, "work", 1)
    event = event_from_message(message.headers, message.body)
    assert (event.id, event.type, event.payload, event.time) == ("s-1", "auth.send", {"user_id": 7}, NOW)
    assert (event.headers[HEADER_ETA], event.headers[HEADER_EXPIRES], event.headers[HEADER_POSITIONAL]) == (
        NOW.isoformat(),
        NOW.isoformat(),
        "1",
    )


async def test_the_queue_the_caller_names_wins(broker: Broker) -> None:
    await CeleryDispatcher(broker).send(a_work(Side.LEGACY, 1, options=Options(queue="shadow")), served(Side.LEGACY))
    assert len(await received(broker, "shadow", 1)) == 1


async def test_a_full_queue_is_a_failure() -> None:
    async with opened(MemoryBroker()) as broker:
        dispatcher = CeleryDispatcher(broker)
        await dispatcher.send(a_work(Side.LEGACY, 1), served(Side.LEGACY, routing_key="full"))
        with pytest.raises(DispatchFailed) as caught:
            await dispatcher.send(a_work(Side.LEGACY, 2), served(Side.LEGACY, routing_key="full"))
        assert caught.value.maybe_published is False


async def test_an_event_names_the_service_that_is_to_run_it(broker: Broker) -> None:
    named = msgspec.structs.replace(served(Side.EVENTS), service="shop")
    await EventsDispatcher(broker).send(a_work(Side.EVENTS, 1), named)
    (message,) = await received(broker, "work", 1)
    assert message.headers[HEADER_SERVICE] == "shop"
