"""An event worker on each broker, and the two ends of it: submissions in, outcomes out."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from dualrun.broker import Broker, Delivery, Message
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Event, JsonObject, Outcome, Role, decode_records, headers_of
from dualrun.contracts.topology import (
    EVENTS_EXCHANGE,
    HEADER_ROLE,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    RECORDS_QUEUE,
    SHADOW_EXCHANGE,
)
from event_handlers import EventWorker, HandlerRegistry, handler
from event_handlers.definition import handler_of

WAIT_S = 40.0


class World:
    """A broker, the workers started on it, and what they have put on record."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        name = uuid.uuid4().hex[:8]
        self.service = f"s{name}"
        self.task = f"t{name}.work"
        self._workers: list[EventWorker] = []
        self._outcomes: defaultdict[str, asyncio.Queue[Outcome]] = defaultdict(asyncio.Queue)

    async def open(self) -> None:
        await self.broker.connect()
        await self.broker.declare(RECORDS_TOPOLOGY)
        await self.broker.consume(RECORDS_QUEUE, self._on_records, prefetch=100)

    async def close(self) -> None:
        for worker in self._workers:
            await worker.stop(5.0)
        await self.broker.close()

    def _on_records(self, delivery: Delivery) -> None:
        for record in decode_records(delivery.message.body):
            assert isinstance(record, Outcome)
            self._outcomes[record.submission_id].put_nowait(record)
        delivery.ack()

    async def start(self, *functions: Callable[..., object], **options: Any) -> EventWorker:
        found = [handler_of(function) for function in functions]
        registry = HandlerRegistry(handler for handler in found if handler is not None)
        worker = EventWorker(self.broker, registry, service=self.service, **options)
        await worker.start()
        self._workers.append(worker)
        return worker

    async def submit(
        self, payload: JsonObject, *, task: str | None = None, role: Role = Role.AUTHORITY, headers: Mapping[str, str] | None = None
    ) -> str:
        """What the gateway sends; gives the submission's id."""
        event = self.event(payload, task=task)
        own = {HEADER_SUBMISSION_ID: event.id, HEADER_ROLE: role.value, HEADER_SUBMITTED_AT: event.time.isoformat(), **(headers or {})}
        await self.send(msgspec.structs.replace(event, headers=own), SHADOW_EXCHANGE if role is Role.SHADOW else EVENTS_EXCHANGE)
        return event.id

    def event(self, payload: JsonObject, *, task: str | None = None) -> Event:
        return Event(id=str(uuid.uuid4()), type=task or self.task, source="/test", time=datetime.now(UTC), payload=payload)

    async def send(self, event: Event, exchange: str = EVENTS_EXCHANGE) -> None:
        message = Message(body=msgspec.json.encode(event.payload), headers=headers_of(event), message_id=event.id)
        await self.broker.publish(exchange, event.type, message)

    async def outcome(self, submission_id: str) -> Outcome:
        async with asyncio.timeout(WAIT_S):
            return await self._outcomes[submission_id].get()

    async def outcomes(self, submission_ids: Sequence[str]) -> list[Outcome]:
        return [await self.outcome(submission_id) for submission_id in submission_ids]

    def has_outcome(self, submission_id: str) -> bool:
        """Whether an outcome waits that nobody has taken."""
        return not self._outcomes[submission_id].empty()

    async def ready(self, queue: str) -> int:
        depth = await self.broker.depth(queue)
        return -1 if depth is None else depth.ready


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.services)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    broker: Broker = MemoryBroker() if request.param == "memory" else RabbitBroker(request.getfixturevalue("amqp_url"), name="test")
    opened = World(broker)
    await opened.open()
    yield opened
    await opened.close()


def any_handler(task: str) -> Callable[[], Awaitable[None]]:
    """A handler that does nothing."""

    @handler(task)
    async def work() -> None: ...

    return work
