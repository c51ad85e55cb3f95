"""One event, three services: each acts on its own copy."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dualrun.broker import Broker
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts.topology import service_queue
from event_handlers import EventPublisher, EventWorker, collect_handlers
from examples.experiments import analytics, metrics
from examples.experiments.create import create_experiment
from tests.support.eventually import becomes

SERVICES = ("notification", "analytics", "metrics")


@pytest.mark.parametrize("kind", ["memory", pytest.param("rabbitmq", marks=pytest.mark.services)])
async def test_a_created_experiment_reaches_every_service_through_a_queue_of_its_own(
    kind: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    broker: Broker = MemoryBroker() if kind == "memory" else RabbitBroker(request.getfixturevalue("amqp_url"))
    await broker.connect()
    workers = [EventWorker(broker, collect_handlers(f"examples.experiments.{service}"), service=service) for service in SERVICES]
    for worker in workers:
        await worker.start()
    counted_before = analytics.experiments_by_project[7]
    created = await create_experiment(EventPublisher(broker, "/experiments"), user_id=1, project_id=7, name="baseline")

    async def acted() -> set[str]:
        return {record.getMessage() for record in caplog.records} & {"owner_notified", "experiment_counted", "metrics_created"}

    await becomes(acted, {"owner_notified", "experiment_counted", "metrics_created"})
    assert metrics.metrics[created.experiment_id] == {"accuracy": 0.0, "loss": 0.0}
    assert analytics.experiments_by_project[7] == counted_before + 1
    assert [(await broker.depth(service_queue(service))) is not None for service in SERVICES] == [True] * 3
    await asyncio.gather(*(worker.stop() for worker in workers))
    await broker.close()
