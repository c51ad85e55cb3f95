"""Headers of messages that are published again."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dualrun.broker.port import HeaderValue

__all__ = ["fresh_headers"]

# RabbitMQ before 4.0.1 takes a republished message with these for one that goes round in a circle, and drops it.
_BROKERS_OWN = re.compile(r"x-(first-|last-)?death(-|$)|x-delivery-count$")


def fresh_headers(headers: Mapping[str, HeaderValue]) -> dict[str, HeaderValue]:
    """The headers of a message that is published again: without what the broker wrote into them."""
    return {name: value for name, value in headers.items() if _BROKERS_OWN.match(name) is None}
