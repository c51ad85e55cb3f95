"""What the runtime benchmark compares: workers started, messages as their producers make them, results read where they were recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import psutil
from kombu.connection import Connection
from kombu.serialization import dumps
from redis import Redis

from benchmarks.runtime_celery import app
from dualrun.broker import Delivery, Message, Outgoing, Queue, Topology
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Event, Outcome, Role, Side, decode_records, headers_of
from dualrun.contracts.topology import (
    EVENTS_EXCHANGE,
    HEADER_FLAG_VERSION,
    HEADER_ROLE,
    HEADER_SIDE,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    RECORDS_QUEUE,
    service_queue,
)
from dualrun.telemetry import new_traceparent
from event_handlers.service_topology import joined, service_topology

__all__ = ["PROCESSES", "TASKS", "CelerySide", "EventsSide", "Places", "WorkerSide", "Workers", "forget", "purge", "servers_cpu_s"]

TASKS = ("bench.noop", "bench.io", "bench.http", "bench.cpu")
SERVICE = "bench"
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of one run of the benchmark lives."""

    amqp_url: str
    redis_url: str
    prefix: str
    env: Mapping[str, str]
    """What every worker is told, besides what each side adds."""


class Workers:
    """Running worker processes, with all their children."""

    def __init__(self, commands: Sequence[Sequence[str]], env: Mapping[str, str]) -> None:
        # Celery's banner and warnings go nowhere; a worker that does not work is noticed by its queue.
        self._started = [
            subprocess.Popen(command, env={**_neutral(), **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in commands
        ]

    def processes(self) -> list[psutil.Process]:
        """Every process there is now, parents included."""
        parents = [psutil.Process(started.pid) for started in self._started]
        return parents + [child for parent in parents for child in parent.children(recursive=True)]

    def cpu_s(self) -> float:
        """Processor time of all of them so far, user and system."""
        times = [process.cpu_times() for process in self.processes()]
        return sum(spent.user + spent.system for spent in times)

    def memory_mib(self) -> dict[str, float]:
        """Proportional set size (shared pages count once) and resident set size, summed over the processes."""
        infos = [process.memory_full_info() for process in self.processes()]
        return {"pss": sum(info.pss for info in infos) / 2**20, "rss": sum(info.rss for info in infos) / 2**20}

    def stop(self) -> None:
        """End them, however long they take."""
        for started in self._started:
            started.terminate()
        for started in self._started:
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                for process in psutil.Process(started.pid).children(recursive=True):
                    process.kill()
                started.kill()
                started.wait(5)


def _neutral() -> dict[str, str]:
    """The environment without what would change a side: an inbox, an exporter of traces, modules compiled at each start."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DUALRUN_", "OTEL_")) and name != "PYTHONDONTWRITEBYTECODE"
    }


def servers_cpu_s() -> dict[str, float]:
    """Processor time so far of RabbitMQ and Redis, as far as they run here."""
    spent: dict[str, float] = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        name = {"beam.smp": "rabbitmq", "redis-server": "redis"}.get(process.info["name"])
        if name is not None and process.info["cpu_times"] is not None:
            times = process.info["cpu_times"]
            spent[name] = spent.get(name, 0.0) + times.user + times.system
    return spent


class WorkerSide(Protocol):
    """One way to run the tasks."""

    name: str
    queue: str

    def topology(self) -> Topology: ...

    def outgoing(self, task: str, sent_at: float) -> tuple[str, Outgoing]:
        """An id, and the message as the side's producer sends it."""
        ...

    def start(self, task: str) -> Workers: ...

    async def results(self, broker: RabbitBroker, expected: int, patience_s: float = 10.0) -> list[float]:
        """What the tasks returned, from where it was recorded; fewer than expected where nothing more came for that time."""
        ...


class CelerySide:
    """`celery worker` with one of its pools."""

    def __init__(self, places: Places, pool: str, concurrency: Mapping[str, int], prefetch: int) -> None:
        self.name = f"celery-{pool}"
        self.queue = "dualrun-bench-celery"
        self._places = places
        self._pool = pool
        self._concurrency = concurrency
        self._prefetch = prefetch

    def topology(self) -> Topology:
        return Topology(queues=(Queue(name=self.queue),))

    def outgoing(self, task: str, sent_at: float) -> tuple[str, Outgoing]:
        task_id = str(uuid.uuid4())
        headers, _, body, _ = app.amqp.create_task_message(task_id, task, (sent_at,), {}, ignore_result=None)
        content_type, encoding, payload = dumps(body, serializer="json")
        message = Message(
            body=payload.encode(), headers=headers, content_type=content_type, content_encoding=encoding, correlation_id=task_id
        )
        return task_id, Outgoing("", self.queue, message)

    def start(self, task: str) -> Workers:
        concurrency = self._concurrency[task]
        common = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "error", "--pool", self._pool]
        # prefork counts its processes, threads are added to each.
        parents = 1 if self._pool == "prefork" else PROCESSES
        commands = [
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "benchmarks.runtime_celery",
                "worker",
                *common,
                "-c",
                str(concurrency),
                "-n",
                f"w{n}@bench",
            ]
            for n in range(parents)
        ]
        env = {
            **self._places.env,
            "BENCH_AMQP_URL": self._places.amqp_url,
            "BENCH_REDIS_URL": self._places.redis_url,
            "BENCH_PREFIX": self._places.prefix,
            "BENCH_QUEUE": self.queue,
            "BENCH_PREFETCH": str(max(1, self._prefetch // concurrency)),
        }
        return Workers(commands, env)

    async def results(self, broker: RabbitBroker, expected: int, patience_s: float = 10.0) -> list[float]:
        with Redis.from_url(self._places.redis_url) as redis:
            pattern = f"{self._places.prefix}*celery-task-meta-*"
            keys: list[bytes] = []
            deadline = time.monotonic() + patience_s
            while len(keys) < expected and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
                found = list(redis.scan_iter(pattern, count=5_000))
                if len(found) > len(keys):
                    deadline = time.monotonic() + patience_s
                keys = found
            values = [value for start in range(0, len(keys), 1_000) for value in redis.mget(keys[start : start + 1_000])]
            for start in range(0, len(keys), 1_000):
                redis.delete(*keys[start : start + 1_000])
        metas = [json.loads(value) for value in values if value is not None]
        return [float(meta["result"]) for meta in metas if meta["status"] == "SUCCESS"]


class EventsSide:
    """`python -m event_handlers`."""

    def __init__(self, places: Places, *, inbox: bool, concurrency: Mapping[str, int]) -> None:
        self.name = "events-inbox" if inbox else "events"
        self.queue = service_queue(SERVICE)
        self._places = places
        self._inbox = inbox
        self._concurrency = concurrency

    def topology(self) -> Topology:
        return joined(RECORDS_TOPOLOGY, service_topology(SERVICE, TASKS))

    def outgoing(self, task: str, sent_at: float) -> tuple[str, Outgoing]:
        now = datetime.now(UTC)
        event_id = str(uuid.uuid4())
        # What the gateway sends for a submission.
        headers = {
            HEADER_SUBMISSION_ID: event_id,
            HEADER_ROLE: Role.AUTHORITY.value,
            HEADER_SIDE: Side.EVENTS.value,
            HEADER_FLAG_VERSION: "1",
            HEADER_SUBMITTED_AT: now.isoformat(),
            "traceparent": new_traceparent(),
        }
        event = Event(id=event_id, type=task, source="/dualrun/gateway", time=now, payload={"sent_at": sent_at}, headers=headers)
        message = Message(body=msgspec.json.encode(event.payload), headers=headers_of(event), message_id=event_id, correlation_id=event_id)
        return event_id, Outgoing(EVENTS_EXCHANGE, task, message)

    def start(self, task: str) -> Workers:
        module = "benchmarks.runtime_handlers_http" if task == "bench.http" else "benchmarks.runtime_handlers"
        command = [sys.executable, "-m", "event_handlers", "--handlers", module, "--service", SERVICE]
        command += ["--processes", str(PROCESSES), "--concurrency", str(self._concurrency[task]), "--log-level", "error"]
        env = {**self._places.env, "DUALRUN_AMQP_URL": self._places.amqp_url, "DUALRUN_REDIS_PREFIX": self._places.prefix}
        if self._inbox:
            env["DUALRUN_REDIS_URL"] = self._places.redis_url
        return Workers([command], env)

    async def results(self, broker: RabbitBroker, expected: int, patience_s: float = 10.0) -> list[float]:
        taker = _Taker(expected)
        consumer = await broker.consume(RECORDS_QUEUE, taker.take, prefetch=500)
        await taker.finish(patience_s)
        await consumer.cancel()
        return list(taker.values.values())


class _Taker:
    """Takes outcomes off the queue of records; the first one of a submission counts."""

    def __init__(self, expected: int) -> None:
        self.values: dict[str, float] = {}
        self._expected = expected
        self._is_complete = asyncio.Event()

    def take(self, delivery: Delivery) -> None:
        for record in decode_records(delivery.message.body):
            if isinstance(record, Outcome) and isinstance(record.value, float):
                self.values.setdefault(record.submission_id, record.value)
        delivery.ack()
        if len(self.values) >= self._expected:
            self._is_complete.set()

    async def finish(self, patience_s: float) -> None:
        """Wait until all is there, or nothing more has come for that long."""
        seen = -1
        while len(self.values) > seen and not self._is_complete.is_set():
            seen = len(self.values)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._is_complete.wait()


def purge(amqp_url: str, *queues: str) -> None:
    """Empty queues that an earlier run may have left full."""
    with Connection(amqp_url) as connection:
        for queue in queues:
            connection.default_channel.queue_purge(queue)


def forget(places: Places) -> None:
    """Remove what the run left in Redis."""
    with ExitStack() as stack:
        redis = stack.enter_context(Redis.from_url(places.redis_url))
        for key in redis.scan_iter(f"{places.prefix}*", count=5_000):
            redis.delete(key)
