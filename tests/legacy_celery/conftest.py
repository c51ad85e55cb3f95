"""A Celery app of somebody else, its workers as real processes, and the outcomes they report."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pytest
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Producer
from kombu.simple import SimpleQueue

from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Outcome, Role, decode_records
from dualrun.contracts.topology import (
    HEADER_FLAG_VERSION,
    HEADER_ROLE,
    HEADER_SHADOWED,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
    RECORDS_QUEUE,
)
from dualrun.telemetry import new_traceparent

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "tests" / "fixtures" / "foreign_shop"
WAIT_S = 45.0


class Shop:
    """The foreign shop on a broker of its own: submit to it, start workers for it, and read what they report."""

    def __init__(self, amqp_url: str, spool_dir: Path) -> None:
        self.amqp_url = amqp_url
        self.spool_dir = spool_dir
        self.outcomes: dict[str, Outcome] = {}
        self.connection = Connection(amqp_url)
        self.app = Celery("client", broker=amqp_url, set_as_current=False)
        self._declare()

    def _declare(self) -> None:
        channel = self.connection.channel()
        for name in ("shop.default", "shop.orders"):
            channel.queue_declare(name, durable=True, auto_delete=False)
        channel.close()
        # As the gateway does: the worker declares the same, and must find it equal.
        asyncio.run(self._declare_records())

    async def _declare_records(self) -> None:
        broker = RabbitBroker(self.amqp_url)
        await broker.connect()
        await broker.declare(RECORDS_TOPOLOGY)
        await broker.close()

    def submit(self, task: str, *args: object, **options: Any) -> str:
        """One submission, as the gateway would send it."""
        submission_id = str(uuid.uuid4())
        self.repeat(submission_id, task, *args, **options)
        return submission_id

    def repeat(
        self,
        submission_id: str,
        task: str,
        *args: object,
        role: Role = Role.AUTHORITY,
        queue: str | None = None,
        kwargs: Mapping[str, object] | None = None,
        shadowed: bool = False,
        **options: object,
    ) -> None:
        """The message of a submission, once more."""
        headers = {
            HEADER_SUBMISSION_ID: submission_id,
            HEADER_ROLE: role.value,
            HEADER_FLAG_VERSION: 7,
            HEADER_SUBMITTED_AT: "2026-01-01T00:00:00+00:00",
            HEADER_TRACEPARENT: new_traceparent(),
            **({HEADER_SHADOWED: "1"} if shadowed else {}),
        }
        built = self.app.amqp.create_task_message(submission_id, task, args, dict(kwargs or {}), ignore_result=None, **options)
        with Producer(self.connection.channel()) as producer:
            producer.publish(
                built.body,
                routing_key=queue or self.queue_of(task),
                headers={**built.headers, **headers},
                serializer="json",
                **built.properties,
            )

    @staticmethod
    def queue_of(task: str) -> str:
        return "shop.orders" if task.startswith("orders.") else "shop.default"

    def outcome_of(self, submission_id: str, *, wait_s: float = WAIT_S) -> Outcome:
        """Its outcome, as soon as it is reported."""
        self.read(until=lambda: submission_id in self.outcomes, wait_s=wait_s)
        assert submission_id in self.outcomes, f"no outcome within {wait_s} s"
        return self.outcomes[submission_id]

    def read(self, *, until: Callable[[], bool], wait_s: float = WAIT_S) -> None:
        """Read reports until that holds."""
        deadline = time.monotonic() + wait_s
        while not until() and time.monotonic() < deadline:
            try:
                message = self._records.get(timeout=0.5)
            except self._records.Empty:
                continue
            for record in decode_records(bytes(message.body) if not isinstance(message.body, str) else message.body.encode()):
                assert isinstance(record, Outcome)
                self.outcomes.setdefault(record.submission_id, record)
            message.ack()

    @cached_property
    def _records(self) -> SimpleQueue:
        # Opened once: a reader that leaves may take messages with it that the broker has sent and it has not read.
        channel = self.connection.channel()
        return SimpleQueue(channel, Queue(RECORDS_QUEUE, channel=channel, no_declare=True))

    @contextmanager
    def worker(self, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """A worker started as its owner starts it, with nothing but environment variables of ours."""
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "storefront.worker",
            "worker",
            "--without-mingle",
            "--without-gossip",
            "-l",
            "INFO",
        ]
        environment = {
            **os.environ,
            "SHOP_BROKER": self.amqp_url,
            "PYTHONPATH": str(ROOT),
            "CELERY_WORKER_INCLUDE": "legacy_celery.capture",
            "DUALRUN_AMQP_URL": self.amqp_url,
            "DUALRUN_SPOOL_DIR": str(self.spool_dir),
            **(env or {}),
        }
        log = self.spool_dir.parent / f"worker-{uuid.uuid4().hex[:6]}.log"
        with log.open("wb") as out:
            process = subprocess.Popen([*command, *arguments], cwd=SHOP, env=environment, stdout=out, stderr=subprocess.STDOUT)
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                sys.stdout.write(log.read_text())

    def spooled(self) -> list[Path]:
        """Files of outcomes that were not delivered."""
        return sorted(self.spool_dir.glob("*.spool"))

    def spooled_outcomes(self) -> list[Outcome]:
        lines = [line for path in self.spooled() for line in path.read_bytes().splitlines()]
        return [msgspec.json.decode(line, type=Outcome) for line in lines]

    def until_spooled(self, *submission_ids: str) -> None:
        self.until(lambda: set(submission_ids) <= {outcome.submission_id for outcome in self.spooled_outcomes()})

    def until_received(self, submission_id: str) -> None:
        """A worker holds the message: it says so in its log."""
        self.until(lambda: any(f"[{submission_id}] received" in log.read_text() for log in self.spool_dir.parent.glob("worker-*.log")))

    def until(self, holds: Callable[[], bool], *, wait_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + wait_s
        while not holds():
            assert time.monotonic() < deadline, f"did not come true within {wait_s} s"
            time.sleep(0.05)

    def close(self) -> None:
        self.connection.release()
        self.app.close()


@pytest.fixture
def shop(amqp_url: str, tmp_path: Path) -> Iterator[Shop]:
    spool_dir = tmp_path / "spool"
    with closing(Shop(amqp_url, spool_dir)) as shop:
        yield shop
