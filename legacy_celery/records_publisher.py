"""Outcomes to RabbitMQ over py-amqp, the client every Celery worker has."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Producer

from dualrun.contracts import Outcome, encode_records
from dualrun.contracts.topology import RECORDS_QUEUE

__all__ = ["RecordsPublisher"]

_CONNECT_TIMEOUT_S = 4.0
_CONFIRM_TIMEOUT_S = 10.0
_PERSISTENT = 2


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
            Queue(RECORDS_QUEUE, exchange=None, channel=channel, durable=True, queue_arguments={"x-queue-type": "quorum"}).queue_declare()
            self._producer = Producer(channel, serializer=None, auto_declare=False)
        return self._producer
