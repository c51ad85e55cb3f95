"""Outcomes to RabbitMQ over py-amqp, the client every Celery worker has."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from kombu.connection import Connection
from kombu.messaging import Producer

from dualrun.broker.queue_arguments import queue_arguments
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Outcome, encode_records
from dualrun.contracts.topology import RECORDS_QUEUE

__all__ = ["RecordsPublisher"]

_CONNECT_TIMEOUT_S = 4.0
_CONFIRM_TIMEOUT_S = 10.0
_PERSISTENT = 2


class _Channel(Protocol):
    """What is used here of py-amqp's channel, which has no types."""

    def exchange_declare(self, exchange: str, type: str, *, durable: bool, auto_delete: bool) -> object: ...  # noqa: A002 - py-amqp's name
    def queue_declare(self, queue: str, *, durable: bool, auto_delete: bool, arguments: Mapping[str, object]) -> object: ...
    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> object: ...


class RecordsPublisher:
    """A connection made when first needed and again after any error."""

    def __init__(self, amqp_url: str) -> None:
        self._amqp_url = amqp_url
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def publish(self, outcomes: Sequence[Outcome]) -> None:
        """Return once the broker has confirmed them, in one message. Raises what kombu and py-amqp raise."""
        if not outcomes:
            return
        try:
            self._connected().publish(
                encode_records(outcomes),
                exchange="",
                routing_key=RECORDS_QUEUE,
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode=_PERSISTENT,
                mandatory=True,
                confirm_timeout=_CONFIRM_TIMEOUT_S,
            )
        except BaseException:
            self.close()
            raise

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
            _declare(channel)
            self._producer = Producer(channel, serializer=None, auto_declare=False)
        return self._producer


def _declare(channel: _Channel) -> None:
    """Whoever comes first, gateway or worker, declares; the other finds it as it would have made it."""
    for exchange in RECORDS_TOPOLOGY.exchanges:
        channel.exchange_declare(exchange.name, exchange.kind.value, durable=True, auto_delete=False)
    for queue in RECORDS_TOPOLOGY.queues:
        channel.queue_declare(queue.name, durable=True, auto_delete=False, arguments=queue_arguments(queue))
    for binding in RECORDS_TOPOLOGY.bindings:
        channel.queue_bind(binding.queue, binding.exchange, binding.pattern)
