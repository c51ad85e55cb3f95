"""Message brokers behind one port."""

from __future__ import annotations

from dualrun.broker.port import (
    Binding,
    Broker,
    Consumer,
    Delivery,
    Exchange,
    ExchangeKind,
    HeaderValue,
    Message,
    OnDelivery,
    Outgoing,
    Overflow,
    Queue,
    QueueDepth,
    Stream,
    Topology,
)

__all__ = [
    "Binding",
    "Broker",
    "Consumer",
    "Delivery",
    "Exchange",
    "ExchangeKind",
    "HeaderValue",
    "Message",
    "OnDelivery",
    "Outgoing",
    "Overflow",
    "Queue",
    "QueueDepth",
    "Stream",
    "Topology",
]
