"""Every queue the catalogue leads to."""

from __future__ import annotations

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.request import TaskRequest
from gateway.usecases.read_queues import QueueUse, ReadQueues
from tests.support.gateway_parts import EVENTS_QUEUE, LEGACY_QUEUE, SHADOW_QUEUE, TASK, memory_gateway


async def test_depth_and_consumers_of_every_queue_are_told() -> None:
    async with memory_gateway() as gateway:
        await gateway.services.submit.one(TaskRequest(task=TASK, args=(7, "ann@example.org")))
        readings = {reading.name: reading for reading in await gateway.services.queues.all()}
        legacy, events = readings[LEGACY_QUEUE], readings[EVENTS_QUEUE]
        assert (legacy.use, legacy.ready, legacy.consumers, legacy.stuck) == (QueueUse.LEGACY, 1, 0, True)
        assert (events.use, events.service, events.ready, events.stuck) == (QueueUse.EVENTS, "shop", 0, False)
        assert readings[f"{SHADOW_QUEUE}.dead"].use is QueueUse.DEAD
        assert [one.name for one in await gateway.services.queues.dead_letters()] == [f"{EVENTS_QUEUE}.dead", f"{SHADOW_QUEUE}.dead"]


async def test_a_broker_that_cannot_be_asked_is_no_empty_queue() -> None:
    async with memory_gateway() as gateway:
        unasked = ReadQueues(gateway.catalogue, gateway.broker, None)
        assert next(one.ready for one in await unasked.all() if one.use is QueueUse.LEGACY) is None
        await gateway.broker.close()
        with pytest.raises(StoreUnavailable):
            await gateway.services.queues.all()
        await gateway.broker.connect()
