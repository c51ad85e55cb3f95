"""A trial: events go in, something breaks, and at the end each of them is completed or a dead letter."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from types import TracebackType
from typing import Self

import msgspec

from dualrun.broker import Delivery, Message, Outgoing
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Event, Outcome, State, decode_records, headers_of
from dualrun.contracts.topology import (
    EVENTS_EXCHANGE,
    HEADER_DEAD_REASON,
    HEADER_ROLE,
    HEADER_SUBMISSION_ID,
    RECORDS_QUEUE,
    dead_letter_queue,
    service_queue,
)
from dualrun.errors import BrokerError, BrokerUnavailable
from event_handlers.service_topology import service_topology
from tests.faults.toll import come_to_rest
from tests.support.processes import Process

CONCURRENCY = 16
PATIENCE_S = 60.0
"""How long nothing at all may happen before a trial is given up."""
_BATCH = 500

HANDLERS = """
    import asyncio, os, pathlib
    from event_handlers import handler

    runs = os.open({runs!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @handler({work!r}, on_inbox_away="wait", max_attempts=20, retry_delay_s=0.1, retry_on=(OSError,))
    async def work(number: int) -> int:
        await asyncio.sleep({work_s})
        os.write(runs, b"%d\\n" % number)
        pathlib.Path({effects!r}, str(number)).touch()
        return number

    @handler({poison!r}, max_attempts=2, retry_delay_s=0.1, retry_on=(KeyError,))
    async def poison(number: int) -> None:
        raise KeyError(number)
"""


def events_wanted(usual: int) -> int:
    """How many events a trial takes: few in every test run, as many as `DUALRUN_FAULTS_EVENTS` says in `make faults`."""
    return int(os.environ.get("DUALRUN_FAULTS_EVENTS", usual))


class Trial:
    """Events of one service, its workers, and what became of both, seen past whatever is broken."""

    def __init__(self, folder: Path, *, amqp_url: str, redis_url: str, redis_prefix: str, work_s: float = 0.01) -> None:
        name = uuid.uuid4().hex[:8]
        self.service, self.work, self.poison = f"s{name}", f"t{name}.work", f"t{name}.poison"
        self.broker = RabbitBroker(amqp_url, name="trial", connect_wait_s=30.0)
        self.outcomes: dict[str, list[Outcome]] = {}
        self.reasons: dict[str, str] = {}
        """Of dead letters, by event."""
        self.submitted: list[str] = []
        self.poisoned: list[str] = []
        self._stack = AsyncExitStack()
        self._workers: list[Process] = []
        self._happened = asyncio.Event()
        self._folder = folder
        (folder / "effects").mkdir()
        texts = {"runs": str(folder / "runs"), "effects": str(folder / "effects"), "work": self.work, "poison": self.poison}
        (folder / "fault_handlers.py").write_text(dedent(HANDLERS).format(**texts, work_s=work_s))
        self.env = {
            "PYTHONPATH": f"{folder}:{Path.cwd()}",
            "DUALRUN_AMQP_URL": amqp_url,
            "DUALRUN_REDIS_URL": redis_url,
            "DUALRUN_REDIS_PREFIX": redis_prefix,
            "DUALRUN_CLAIM_LEASE_S": "1",
        }

    async def __aenter__(self) -> Self:
        await self.broker.connect()
        self._stack.push_async_callback(self.broker.close)
        await self.broker.declare(RECORDS_TOPOLOGY)
        await self.broker.declare(service_topology(self.service, [self.work, self.poison]))
        await self.broker.consume(RECORDS_QUEUE, self._on_records, prefetch=500)
        await self.broker.consume(dead_letter_queue(service_queue(self.service)), self._on_dead_letter, prefetch=500)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    def worker(self, name: str, *, amqp_url: str | None = None) -> Process:
        """A worker process, running until the trial ends."""
        arguments = ["--handlers", "fault_handlers", "--service", self.service, "--concurrency", str(CONCURRENCY), "--drain-s", "5"]
        env = {**self.env, **({"DUALRUN_AMQP_URL": amqp_url} if amqp_url else {})}
        started = self._stack.enter_context(Process(name, [sys.executable, "-m", "event_handlers", *arguments], env=env))
        self._workers.append(started)
        return started

    async def publish(self, count: int, *, poison_every: int = 100) -> None:
        """Submissions numbered from where the last call ended, and among them events whose handler always fails."""
        first = len(self.submitted)
        for start in range(first, first + count, _BATCH):
            numbers = range(start, min(start + _BATCH, first + count))
            await self._send([self._submission(number) for number in numbers])
            await self._send([self._poison(number) for number in numbers if number % poison_every == 0])

    async def _send(self, messages: list[Outgoing]) -> None:
        """As callers do: what was not confirmed is sent again, with the same id."""
        while messages:
            errors = await self.broker.publish_many(messages)
            assert all(error is None or isinstance(error, BrokerUnavailable) for error in errors), errors
            messages = [message for message, error in zip(messages, errors, strict=True) if isinstance(error, BrokerError)]

    def _submission(self, number: int) -> Outgoing:
        event = _event(self.work, {"number": number})
        self.submitted.append(event.id)
        return _outgoing(msgspec.structs.replace(event, headers={HEADER_SUBMISSION_ID: event.id, HEADER_ROLE: "authority"}))

    def _poison(self, number: int) -> Outgoing:
        event = _event(self.poison, {"number": number})
        self.poisoned.append(event.id)
        return _outgoing(event)

    def _on_records(self, delivery: Delivery) -> None:
        for record in decode_records(delivery.message.body):
            assert isinstance(record, Outcome)
            self.outcomes.setdefault(record.submission_id, []).append(record)
        delivery.ack()
        self._happened.set()

    def _on_dead_letter(self, delivery: Delivery) -> None:
        self.reasons[str(delivery.message.message_id)] = str(delivery.message.headers.get(HEADER_DEAD_REASON))
        delivery.ack()
        self._happened.set()

    @property
    def ended(self) -> int:
        """Events that are completed or dead letters."""
        return len(self.outcomes) + len(self.reasons)

    async def until(self, count: int) -> None:
        """Wait for so many to end; gives up when nothing happens any more."""
        while self.ended < count:
            self._happened.clear()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._happened.wait()
            except TimeoutError:
                raise AssertionError(f"{self.ended} of {count} ended, and nothing happens any more") from None

    async def until_all_ended(self) -> None:
        await self.until(len(self.submitted) + len(self.poisoned))

    def repeats(self) -> int:
        """Runs of the handler beyond one for each submission."""
        runs = Counter((self._folder / "runs").read_text().split())
        return sum(runs.values()) - len(runs)

    async def check(self) -> None:
        """The promise: every event completed or put aside with its reason, every effect there, nothing left over, and nobody busy."""
        assert set(self.outcomes) == set(self.submitted)
        assert {outcome.state for outcomes in self.outcomes.values() for outcome in outcomes} == {State.SUCCEEDED}
        assert {outcome.value for outcomes in self.outcomes.values() for outcome in outcomes} == set(range(len(self.submitted)))
        assert set(self.reasons) == set(self.poisoned)
        assert {reason.split(":")[0] for reason in self.reasons.values()} == {"failed after 2 attempts"}
        assert {int(path.name) for path in (self._folder / "effects").iterdir()} == set(range(len(self.submitted)))
        depth = await self.broker.depth(service_queue(self.service))
        assert depth is not None
        assert depth.ready == 0
        await come_to_rest(*self._workers)


def _event(task: str, payload: dict[str, int]) -> Event:
    return Event(id=str(uuid.uuid4()), type=task, source="/trial", time=datetime.now(UTC), payload=payload)


def _outgoing(event: Event) -> Outgoing:
    message = Message(body=msgspec.json.encode(event.payload), headers=headers_of(event), message_id=event.id)
    return Outgoing(EVENTS_EXCHANGE, event.type, message)
