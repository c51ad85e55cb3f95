"""The brokers of a process, connected as soon as they are there."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress

from dualrun.broker import Broker
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts.topology import RECORDS_QUEUE
from dualrun.errors import BrokerError, BrokerUnavailable, ConfigurationError
from gateway.api.services import Probe

__all__ = ["amqp_only", "connected", "probe_of"]

log = logging.getLogger(__name__)

_CONNECT_AGAIN_S = 1.0


async def connected(stack: AsyncExitStack, url: str, name: str) -> RabbitBroker:
    """A broker, connected as soon as it is there: a gateway that starts before RabbitMQ answers 503 until then."""
    broker = RabbitBroker(url, name=name)
    stack.push_async_callback(broker.close)
    try:
        await _connect(broker)
    except BrokerUnavailable as exc:
        log.warning("broker_awaited", extra={"broker": name, "reason": str(exc)})
        task = asyncio.create_task(_connect_when_there(broker), name=f"connect {name}")
        stack.callback(task.cancel)
    return broker


async def _connect(broker: Broker) -> None:
    await broker.connect()
    await broker.declare(RECORDS_TOPOLOGY)


async def _connect_when_there(broker: Broker) -> None:
    while True:
        await asyncio.sleep(_CONNECT_AGAIN_S)
        with suppress(BrokerUnavailable):
            return await _connect(broker)


def probe_of(broker: Broker) -> Probe:
    async def probe() -> str | None:
        try:
            await broker.depth(RECORDS_QUEUE)
        except BrokerError as exc:
            return str(exc)
        return None

    return probe


def amqp_only(url: str) -> str:
    if not url.startswith(("amqp://", "amqps://", "pyamqp://")):
        raise ConfigurationError(f"DUALRUN_CELERY_BROKER_URL must be amqp://..., not {url.split(':', 1)[0]}://...")
    return url.replace("pyamqp://", "amqp://", 1)
