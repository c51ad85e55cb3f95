"""Messages to RabbitMQ over py-amqp, the client every Celery worker has, each confirmed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol

from kombu.connection import Connection
from kombu.messaging import Producer

from dualrun.broker import Message, Topology
from dualrun.broker.queue_arguments import queue_arguments

__all__ = ["ConfirmedPublisher"]

_CONNECT_TIMEOUT_S = 4.0
_CONFIRM_TIMEOUT_S = 10.0
_PERSISTENT = 2


class _Declared(Protocol):
    message_count: int


class _Channel(Protocol):
    """What is used here of py-amqp's channel, which has no types."""

    def exchange_declare(self, exchange: str, type: str, *, durable: bool, auto_delete: bool) -> object: ...  # noqa: A002 - py-amqp's name
    def queue_declare(
        self,
        queue: str,
        *,
        passive: bool = False,
        durable: bool = True,
        auto_delete: bool = False,
        arguments: Mapping[str, object] | None = None,
    ) -> _Declared: ...
    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> object: ...


class ConfirmedPublisher:
    """A connection made when first needed and again after any error. One thread at a time."""

    def __init__(self, amqp_url: str, topology: Topology) -> None:
        self._amqp_url = amqp_url
        self._topology = topology
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def send(self, queue: str, message: Message, *, exchange: str = "") -> None:
        """Return once the broker has confirmed it; to an exchange, with or without a queue there. Raises what kombu and py-amqp raise."""
        try:
            self._connected().publish(
                message.body,
                exchange=exchange,
                routing_key=queue,
                headers=dict(message.headers),
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                delivery_mode=_PERSISTENT,
                priority=message.priority,
                correlation_id=message.correlation_id,
                message_id=message.message_id,
                mandatory=not exchange,
                confirm_timeout=_CONFIRM_TIMEOUT_S,
            )
        except BaseException:
            self.close()
            raise

    def depth(self, queue: str) -> int:
        """How many messages a queue holds that nobody has in hand. Raises what kombu and py-amqp raise."""
        channel: _Channel = self._connected().channel
        return channel.queue_declare(queue, passive=True).message_count

    def abandon(self) -> None:
        """In a forked child: close this copy of the socket without a word, the connection is the parent's."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(AttributeError, OSError):
                connection.connection.transport.sock.close()

    def close(self) -> None:
        """Leave; an error on the way out changes nothing."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _connected(self) -> Producer:
        if self._producer is None:
            self._connection = Connection(
                self._amqp_url, connect_timeout=_CONNECT_TIMEOUT_S, transport_options={"confirm_publish": True, "max_retries": 1}
            )
            channel = self._connection.channel()
            self._declare(channel)
            self._producer = Producer(channel, serializer=None, auto_declare=False)
        return self._producer

    def _declare(self, channel: _Channel) -> None:
        """Whoever comes first, gateway or worker, declares; the other finds it as it would have made it."""
        for exchange in self._topology.exchanges:
            channel.exchange_declare(exchange.name, exchange.kind.value, durable=True, auto_delete=False)
        for queue in self._topology.queues:
            channel.queue_declare(queue.name, durable=True, auto_delete=False, arguments=queue_arguments(queue))
        for binding in self._topology.bindings:
            channel.queue_bind(binding.queue, binding.exchange, binding.pattern)
