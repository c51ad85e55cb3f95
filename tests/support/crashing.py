"""Processes that crash, within one event loop: what one has in memory is gone at any moment, and what it had in hand goes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import datetime
from typing import Any

from dualrun.broker import Consumer, Message, Outgoing, QueueDepth, Topology
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.memory_queue import MemoryConsumer
from dualrun.broker.port import OnDelivery
from dualrun.errors import BrokerError
from dualrun.inbox import Change, Claim, ClaimRequest, Verb
from dualrun.inbox_memory import MemoryInbox

__all__ = ["CrashingProcess", "ProcessBroker", "ProcessInbox", "attribute_tasks", "outside"]

_RUNNING: ContextVar[CrashingProcess | None] = ContextVar("process", default=None)


def attribute_tasks() -> None:
    """Have every task of this loop known to the process that started it."""

    def make(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **options)
        process = _RUNNING.get()
        if process is not None:
            process.tasks.add(task)
            task.add_done_callback(process.tasks.discard)
        return task

    asyncio.get_running_loop().set_task_factory(make)  # type: ignore[arg-type]  # typeshed asks for any awaitable; asyncio gives coroutines


@contextmanager
def outside() -> Iterator[None]:
    """What is begun here is done by nobody's process: deliveries come in the context of whoever published."""
    token = _RUNNING.set(None)
    try:
        yield
    finally:
        _RUNNING.reset(token)


class CrashingProcess:
    """What runs in `start`, and all it starts, is this process."""

    def __init__(self) -> None:
        self.is_dead = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.consumers: list[MemoryConsumer] = []

    async def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what a process does when it starts."""
        token = _RUNNING.set(self)
        try:
            await asyncio.create_task(work)
        finally:
            _RUNNING.reset(token)

    async def crash(self) -> None:
        """Nothing of it has an effect from here on; the broker gives out again what was not acknowledged."""
        self.is_dead = True
        for consumer in self.consumers:
            await consumer.leave()
        while self.tasks:
            for task in list(self.tasks):
                task.cancel()
            await asyncio.wait(self.tasks, timeout=0.01)

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing in hand."""
        return all(consumer.is_empty for consumer in self.consumers)

    async def lives(self) -> None:
        """Return where the process lives; a dead one never goes on."""
        if self.is_dead:
            await asyncio.get_running_loop().create_future()


class ProcessBroker:
    """A process's connection. A crash may come before a publish, or between it and its confirm."""

    def __init__(self, process: CrashingProcess, broker: MemoryBroker) -> None:
        self._process = process
        self._broker = broker

    @property
    def is_up(self) -> bool:
        return not self._process.is_dead

    async def connect(self) -> None:
        """It is."""

    async def close(self) -> None:
        """The broker stays."""

    async def declare(self, topology: Topology) -> None:
        await self._process.lives()
        await self._broker.declare(topology)

    async def publish(self, exchange: str, routing_key: str, message: Message) -> None:
        await asyncio.sleep(0)
        await self._process.lives()
        with outside():
            await self._broker.publish(exchange, routing_key, message)
        await asyncio.sleep(0)
        await self._process.lives()

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[BrokerError | None]:
        await asyncio.sleep(0)
        await self._process.lives()
        with outside():
            answers = await self._broker.publish_many(messages)
        await asyncio.sleep(0)
        await self._process.lives()
        return answers

    async def request(self, exchange: str, routing_key: str, message: Message, *, timeout_s: float) -> Message:
        await self._process.lives()
        return await self._broker.request(exchange, routing_key, message, timeout_s=timeout_s)

    async def consume(self, queue: str, on_delivery: OnDelivery, *, prefetch: int) -> Consumer:
        await self._process.lives()
        # Deliveries come in the context of whoever publishes; what they start is this process's.
        context = copy_context()
        consumer = await self._broker.consume(queue, lambda delivery: context.copy().run(on_delivery, delivery), prefetch=prefetch)
        assert isinstance(consumer, MemoryConsumer)
        self._process.consumers.append(consumer)
        return consumer

    def read(self, stream: str, *, since: datetime | None = None) -> AsyncIterator[Message]:
        return self._broker.read(stream, since=since)

    async def depth(self, queue: str) -> QueueDepth | None:
        await self._process.lives()
        return await self._broker.depth(queue)


class ProcessInbox:
    """A process's way to an inbox that outlives it. A crash may come before a change, or after it."""

    def __init__(self, process: CrashingProcess, inbox: MemoryInbox, completed: Callable[[str], None]) -> None:
        self._process = process
        self._inbox = inbox
        self._completed = completed
        self.lease_s = inbox.lease_s

    async def claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        await asyncio.sleep(0)
        await self._process.lives()
        claims = await self._inbox.claim(requests)
        await asyncio.sleep(0)
        await self._process.lives()
        return claims

    async def change(self, changes: Sequence[Change]) -> None:
        await asyncio.sleep(0)
        await self._process.lives()
        await self._inbox.change(changes)
        for change in changes:
            if change.verb is Verb.COMPLETE:
                self._completed(change.key)
        await asyncio.sleep(0)
        await self._process.lives()

    async def cancelled(self, keys: Sequence[str]) -> Sequence[bool]:
        await self._process.lives()
        return await self._inbox.cancelled(keys)

    async def close(self) -> None:
        """It outlives the process."""
