"""Outcomes to RabbitMQ."""

from __future__ import annotations

from collections.abc import Sequence

from dualrun.broker import Message
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Outcome, encode_records
from dualrun.contracts.topology import RECORDS_QUEUE
from legacy_celery.confirmed_publisher import ConfirmedPublisher

__all__ = ["RecordsPublisher"]


class RecordsPublisher(ConfirmedPublisher):
    """The queue of records."""

    def __init__(self, amqp_url: str) -> None:
        super().__init__(amqp_url, RECORDS_TOPOLOGY)

    def publish(self, outcomes: Sequence[Outcome]) -> None:
        """Return once the broker has confirmed them, in one message. Raises what kombu and py-amqp raise."""
        if outcomes:
            self.send(RECORDS_QUEUE, Message(body=encode_records(outcomes)))
