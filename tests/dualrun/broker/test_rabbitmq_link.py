"""What a link to RabbitMQ leaves behind: in the log when it is lost, and in memory while it lasts."""

from __future__ import annotations

import gc
import logging

import aio_pika
import pytest
from aio_pika.tools import OneShotCallback

from dualrun.broker import Binding, Exchange, Message, Queue, Topology
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.errors import ConfigurationError, Unroutable
from tests.support.eventually import becomes
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.services


def _tracebacks(caplog: pytest.LogCaptureFixture) -> int:
    return sum(1 for record in caplog.records if record.exc_info)


async def test_a_lost_link_is_one_line_with_the_reason_and_no_traceback(
    proxied_url: str, proxy: TcpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    broker = RabbitBroker(proxied_url)
    await broker.connect()
    with caplog.at_level(logging.INFO):
        proxy.cut()
        await becomes(lambda: _is_logged(caplog, "broker_link_restored"), expected=True)
    await broker.close()
    (lost,) = [record for record in caplog.records if record.message == "broker_link_lost"]
    assert "connection" in lost.__dict__["reason"]
    assert _tracebacks(caplog) == 0


async def test_a_connection_of_somebody_else_keeps_its_traceback(
    proxied_url: str, proxy: TcpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    broker = RabbitBroker(proxied_url)
    await broker.connect()
    other = await aio_pika.connect(proxied_url)
    assert other.transport is not None
    closing = other.transport.connection.closing
    with caplog.at_level(logging.INFO):
        proxy.cut()
        with pytest.raises(aio_pika.exceptions.AMQPConnectionError):
            await closing
        await becomes(lambda: _is_logged(caplog, "broker_link_restored"), expected=True)
    await broker.close()
    await other.close()
    assert _tracebacks(caplog) == 1


async def _is_logged(caplog: pytest.LogCaptureFixture, event: str) -> bool:
    return any(record.message == event for record in caplog.records)


async def test_declaring_and_asking_over_and_over_keeps_no_channels(amqp_url: str, name: str) -> None:
    broker = RabbitBroker(amqp_url)
    await broker.connect()
    topology = Topology(exchanges=(Exchange(name),), queues=(Queue(name=name),), bindings=(Binding(name, name, "#"),))

    async def use() -> None:
        await broker.declare(topology)
        assert await broker.depth(name) is not None
        assert await broker.depth(f"{name}.missing") is None
        with pytest.raises(Unroutable):
            await broker.publish(f"{name}.missing", "key", Message(body=b""))
        with pytest.raises(ConfigurationError):
            await broker.consume(f"{name}.missing", lambda _: None, prefetch=1)

    await use()
    before = _channels()
    for _ in range(5):
        await use()
    assert _channels() == before
    await broker.close()


def _channels() -> int:
    """How many channels aio-pika still knows of: it makes one of these for each."""
    gc.collect()
    return len([found for found in gc.get_objects() if isinstance(found, OneShotCallback)])
