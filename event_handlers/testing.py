"""Handlers under test: run as a worker would, with effects captured, dependencies replaced and the clock held still.

    async with open_bench("proj.handlers", given={http_client: fake}) as bench:
        run = await bench.run("order.confirm", {"order_id": 1})
    assert run.state is State.SUCCEEDED
    assert [effect.key for effect in run.effects] == ["POST https://shop/confirmations"]

Needs the extra `testing`. It runs on the broker in memory and talks to no server.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
import time_machine

from dualrun.breakers_memory import MemoryBreakerBoard
from dualrun.broker import Delivery, Message
from dualrun.broker.headers import fresh_headers
from dualrun.broker.memory import MemoryBroker
from dualrun.contracts import Event, JsonObject, Outcome, Role, event_from_message, headers_of, typed_json
from dualrun.contracts.topology import (
    EVENTS_EXCHANGE,
    HEADER_ATTEMPT,
    HEADER_DEAD_REASON,
    HEADER_ROLE,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    SHADOW_EXCHANGE,
    dead_letter_queue,
    service_queue,
    shadow_queue,
)
from dualrun.errors import ConfigurationError
from dualrun.inbox_memory import MemoryInbox
from event_handlers.definition import handler_of
from event_handlers.dependencies import Dependency, OpenDependencies
from event_handlers.publisher import EventPublisher
from event_handlers.registry import HandlerRegistry, collect_handlers
from event_handlers.runtime import EventWorker

__all__ = ["Bench", "DeadLetter", "open_bench"]

_SERVICE = "bench"
_PAUSE_S = 0.001
_JUMPS_MAX = 10_000
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was put aside, and why."""

    event: Event
    reason: str


class _HeldTime:
    """A `Ladder` by the clock of the bench: what waits there comes back when the clock gets there."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int, str, Message]] = []
        self._order = itertools.count()

    async def postpone(self, message: Message, queue: str, delay_s: float, attempt: int, at_most_s: float | None = None) -> None:
        await self.park(replace(message, headers={**message.headers, HEADER_ATTEMPT: str(attempt)}), queue, delay_s)

    async def park(self, message: Message, queue: str, wait_s: float) -> None:
        due = datetime.now(UTC) + timedelta(seconds=wait_s)
        heapq.heappush(self._waiting, (due, next(self._order), queue, replace(message, headers=fresh_headers(message.headers))))

    @property
    def next_due(self) -> datetime | None:
        return self._waiting[0][0] if self._waiting else None

    def take(self) -> tuple[str, Message]:
        _, _, queue, message = heapq.heappop(self._waiting)
        return queue, message


class Bench:
    """A worker with the handlers under test. Its clock moves only by `advance`, and by what `run` has to wait for."""

    def __init__(self, registry: HandlerRegistry, given: Mapping[Dependency, object], clock: time_machine.Traveller) -> None:
        self._broker = MemoryBroker()
        self._time = _HeldTime()
        self._clock = clock
        self._outcomes: dict[str, Outcome] = {}
        self._worker = EventWorker(
            self._broker,
            registry,
            service=_SERVICE,
            sink=self,
            inbox=MemoryInbox(),
            breakers=MemoryBreakerBoard(_SERVICE),
            dependencies=OpenDependencies(given),
            ladder=self._time,
        )
        self.publisher = EventPublisher(self._broker, f"/{_SERVICE}")
        """Publishes to the handlers under test; `settle` waits until they are done."""
        self.dead_letters: list[DeadLetter] = []

    async def start(self) -> None:
        """Open dependencies, begin to consume."""
        await self._broker.connect()
        await self._worker.start()
        for queue in (service_queue(_SERVICE), shadow_queue(_SERVICE)):
            await self._broker.consume(dead_letter_queue(queue), self._on_dead_letter, prefetch=100)

    async def stop(self) -> None:
        """Close dependencies."""
        await self._worker.stop(drain_s=0.0)
        await self._broker.close()

    async def append(self, outcomes: Sequence[Outcome]) -> None:
        """Implements `OutcomeSink`."""
        self._outcomes.update((outcome.submission_id, outcome) for outcome in outcomes)

    def _on_dead_letter(self, delivery: Delivery) -> None:
        message = delivery.message
        reason = str(message.headers.get(HEADER_DEAD_REASON))
        self.dead_letters.append(DeadLetter(event_from_message(message.headers, message.body), reason))
        delivery.ack()

    async def run(
        self, task: str, payload: Mapping[str, object], *, perform: bool = False, headers: Mapping[str, str] | None = None
    ) -> Outcome:
        """Submit a task and return its outcome, retries included: the clock jumps over their waits.

        Effects are captured and not performed; with `perform` they are both. Raises `AssertionError` where it never ends.
        """
        role = Role.AUTHORITY if perform else Role.SHADOW
        event = Event(id=str(uuid.uuid4()), type=task, source="/test", time=datetime.now(UTC), payload=_plain(payload))
        own = {HEADER_SUBMISSION_ID: event.id, HEADER_ROLE: role.value, HEADER_SUBMITTED_AT: event.time.isoformat(), **(headers or {})}
        message = Message(
            body=msgspec.json.encode(event.payload), headers=headers_of(msgspec.structs.replace(event, headers=own)), message_id=event.id
        )
        await self._broker.publish(EVENTS_EXCHANGE if perform else SHADOW_EXCHANGE, task, message)
        await self.settle()
        for _ in range(_JUMPS_MAX):
            if event.id in self._outcomes:
                return self._outcomes[event.id]
            due = self._time.next_due
            if due is None:
                reasons = [letter.reason for letter in self.dead_letters if letter.event.id == event.id]
                raise AssertionError(f"{task} has no outcome: {reasons[0] if reasons else 'and waits for nothing'}")
            await self.advance(max(0.0, (due - datetime.now(UTC)).total_seconds()))
        raise AssertionError(f"{task} came again {_JUMPS_MAX} times and did not end")

    async def advance(self, seconds: float) -> None:
        """Move the clock on; what falls due on the way is handled at its time."""
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        while (due := self._time.next_due) is not None and due <= until:
            self._clock.move_to(max(due, datetime.now(UTC)), tick=False)
            queue, message = self._time.take()
            await self._broker.publish("", queue, message)
            await self.settle()
        self._clock.move_to(until, tick=False)

    async def settle(self) -> None:
        """Wait until the handlers are done with all that is not put off."""
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(_PAUSE_S)
            quiet = 0 if await self._is_busy() else quiet + 1

    async def _is_busy(self) -> bool:
        report = self._worker.report()
        depths = [await self._broker.depth(queue) for queue in (service_queue(_SERVICE), shadow_queue(_SERVICE))]
        return bool(sum(report.running.values()) + sum(report.waiting.values()) + sum(depth.ready for depth in depths if depth is not None))


@asynccontextmanager
async def open_bench(
    handlers: str | Iterable[Callable[..., object]], *, given: Mapping[Dependency, object] | None = None, now: datetime = _NOON
) -> AsyncIterator[Bench]:
    """A bench for the handlers of a module, or for decorated functions; `given` replaces dependencies, which are not opened then.

    The clock of the process stands at `now` meanwhile: `datetime.now()` and `time.time()`, in handlers too. `asyncio.sleep` takes its time
    all the same. Raises `ConfigurationError`.
    """
    registry = collect_handlers(handlers) if isinstance(handlers, str) else _registry_of(handlers)
    with time_machine.travel(now, tick=False) as clock:
        bench = Bench(registry, given or {}, clock)
        await bench.start()
        try:
            yield bench
        finally:
            await bench.stop()


def _registry_of(functions: Iterable[Callable[..., object]]) -> HandlerRegistry:
    found = []
    for function in functions:
        handler = handler_of(function)
        if handler is None:
            raise ConfigurationError(f"{function!r} is no handler: decorate it with @handler")
        found.append(handler)
    return HandlerRegistry(found)


def _plain(payload: Mapping[str, object]) -> JsonObject:
    plain = typed_json.encode(payload)
    assert isinstance(plain, dict)
    return plain
