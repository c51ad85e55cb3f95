"""Declaring a topology on RabbitMQ. Everything is durable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPChannelError, ChannelNotFoundEntity
from pamqp.common import FieldTable

from dualrun.broker.amqp_table import encode_table
from dualrun.broker.port import Binding, Exchange, HeaderValue, QueueDepth, Topology
from dualrun.broker.queue_arguments import queue_arguments, stream_arguments
from dualrun.broker.rabbitmq_link import Link
from dualrun.errors import ConfigurationError

__all__ = ["declare", "exchange_exists", "merged", "queue_depth"]


def merged(first: Topology, second: Topology) -> Topology:
    """Both, each part once, in order."""
    bindings = {(binding.exchange, binding.queue, binding.pattern, encode_table(binding.arguments)): binding for binding in first.bindings}
    bindings |= {
        (binding.exchange, binding.queue, binding.pattern, encode_table(binding.arguments)): binding for binding in second.bindings
    }
    return Topology(
        exchanges=tuple(dict.fromkeys(first.exchanges + second.exchanges)),
        queues=tuple(dict.fromkeys(first.queues + second.queues)),
        streams=tuple(dict.fromkeys(first.streams + second.streams)),
        bindings=tuple(bindings.values()),
    )


async def declare(link: Link, topology: Topology) -> None:
    """Raises `BrokerUnavailable`; `ConfigurationError` naming what exists with other properties, or what a binding misses."""
    async with link.topology_channel() as channel:
        for exchange in topology.exchanges:
            await _declare_exchange(link, channel, exchange)
        for queue in topology.queues:
            await _declare_queue(link, channel, queue.name, queue_arguments(queue))
        for stream in topology.streams:
            await _declare_queue(link, channel, stream.name, stream_arguments(stream))
        for binding in topology.bindings:
            await _bind(link, channel, binding)


async def _declare_exchange(link: Link, channel: AbstractChannel, exchange: Exchange) -> None:
    try:
        await link.answer(channel.declare_exchange(exchange.name, exchange.kind.value, durable=True))
    except AMQPChannelError as exc:
        raise ConfigurationError(f"exchange {exchange.name!r} cannot be declared as {exchange.kind.value}: {exc}") from exc


async def _declare_queue(link: Link, channel: AbstractChannel, name: str, arguments: Mapping[str, HeaderValue]) -> None:
    try:
        await link.answer(channel.declare_queue(name, durable=True, arguments=cast("FieldTable", arguments)))
    except AMQPChannelError as exc:
        raise ConfigurationError(f"queue {name!r} cannot be declared: {exc}") from exc


async def _bind(link: Link, channel: AbstractChannel, binding: Binding) -> None:
    arguments = cast("FieldTable", dict(binding.arguments))
    queue = await channel.get_queue(binding.queue, ensure=False)
    try:
        await link.answer(queue.bind(binding.exchange, binding.pattern, arguments=arguments))
    except AMQPChannelError as exc:
        raise ConfigurationError(f"queue {binding.queue!r} cannot be bound to exchange {binding.exchange!r}: {exc}") from exc


async def exchange_exists(link: Link, exchange: str) -> bool:
    """Raises `BrokerUnavailable`."""
    channel = await link.open_underlay_channel()
    try:
        await link.answer(channel.exchange_declare(exchange, passive=True))
    except ChannelNotFoundEntity:
        return False
    await link.close_channel(channel)
    return True


async def queue_depth(link: Link, queue: str) -> QueueDepth | None:
    """None where there is no such queue. Raises `BrokerUnavailable`."""
    channel = await link.open_underlay_channel()
    try:
        found = await link.answer(channel.queue_declare(queue, passive=True))
    except ChannelNotFoundEntity:
        return None
    await link.close_channel(channel)
    return QueueDepth(ready=found.message_count or 0, consumers=found.consumer_count or 0)
