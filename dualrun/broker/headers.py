"""Headers of messages that are published again."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dualrun.broker.port import Delivery, HeaderValue
from dualrun.contracts.topology import HEADER_STARTED

__all__ = ["fresh_headers", "may_have_started", "started_headers"]

# RabbitMQ before 4.0.1 takes a republished message with these for one that goes round in a circle, and drops it.
_BROKERS_OWN = re.compile(r"x-(first-|last-)?death(-|$)|x-delivery-count$")


def fresh_headers(headers: Mapping[str, HeaderValue]) -> dict[str, HeaderValue]:
    """The headers of a message that is published again: without what the broker wrote into them."""
    return {name: value for name, value in headers.items() if _BROKERS_OWN.match(name) is None}


def started_headers(headers: Mapping[str, HeaderValue]) -> dict[str, HeaderValue]:
    """As `fresh_headers`, of a message that somebody may have started."""
    return {**fresh_headers(headers), HEADER_STARTED: "1"}


def may_have_started(delivery: Delivery) -> bool:
    """Whether somebody had the message before, and may have begun to work on it."""
    return delivery.redelivered or HEADER_STARTED in delivery.message.headers
