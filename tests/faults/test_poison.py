"""A thousand messages nobody can work with, and a queue that is full."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from dualrun.broker import Message, Outgoing
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts import Role, State
from dualrun.contracts.topology import service_queue, shadow_queue
from dualrun.errors import PublishRefused
from event_handlers import handler
from tests.event_handlers.conftest import World
from tests.faults.conftest import Trial
from tests.faults.toll import GROWTH_MAX_BYTES, come_to_rest, memory_bytes
from tests.support.eventually import becomes

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

SPECVERSION = {"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:source": "/trial"}


def unusable(number: int) -> Message:
    """Not an event, an event without a type, one whose data is no object, one that nobody handles."""
    kinds: tuple[tuple[dict[str, str], bytes], ...] = (
        ({}, b"\xff\x00"),
        (SPECVERSION, b"{}"),
        ({**SPECVERSION, "cloudEvents:type": "nobody.handles.it"}, b"[1]"),
        ({**SPECVERSION, "cloudEvents:type": "nobody.handles.it"}, b"{}"),
    )
    headers, body = kinds[number % len(kinds)]
    return Message(body=body, headers=headers, message_id=str(uuid.uuid4()))


@pytest.mark.e2e
async def test_poison_ends_among_the_dead_letters_and_costs_neither_memory_nor_processor(
    tmp_path: Path, amqp_url: str, redis_url: str, redis_prefix: str
) -> None:
    async with Trial(tmp_path, amqp_url=amqp_url, redis_url=redis_url, redis_prefix=redis_prefix) as trial:
        worker = trial.worker("worker")
        sizes: list[int] = []
        for round_number in range(1, 4):
            messages = [unusable(number) for number in range(1000)]
            errors = await trial.broker.publish_many([Outgoing("", service_queue(trial.service), message) for message in messages])
            assert errors == [None] * 1000
            await trial.until(round_number * 1000)
            assert {str(message.message_id) for message in messages} <= set(trial.reasons)
            sizes.append(memory_bytes(worker))
        assert {reason.split(":")[0] for reason in trial.reasons.values()} == {"unreadable", "no handler for 'nobody.handles.it'"}
        # The first round fills pools and caches.
        assert sizes[-1] - sizes[0] < GROWTH_MAX_BYTES
        await trial.publish(10)
        await trial.until(3011)
        await come_to_rest(worker)


async def test_what_a_full_queue_took_is_done_and_what_it_refused_was_told(amqp_url: str) -> None:
    world = World(RabbitBroker(amqp_url, name="test"))
    await world.open()

    @handler(world.task)
    async def work(number: int) -> int:
        return number

    worker = await world.start(work, shadow_max_length=200)
    await worker.stop(5)
    accepted: dict[str, int] = {}
    refused = 0
    for number in range(600):
        try:
            accepted[await world.submit({"number": number}, role=Role.SHADOW)] = number
        except PublishRefused:
            refused += 1
    assert refused > 0
    assert len(accepted) >= 200

    await world.start(work, shadow_max_length=200)
    outcomes = await world.outcomes(list(accepted))
    assert [(outcome.state, outcome.value) for outcome in outcomes] == [(State.SUCCEEDED, number) for number in accepted.values()]
    await becomes(lambda: world.ready(shadow_queue(world.service)), 0)
    assert (await world.outcome(await world.submit({"number": 1}, role=Role.SHADOW))).value == 1
    await world.close()
