"""A broker's errors as the gateway's."""

from __future__ import annotations

from dualrun.contracts import Side
from dualrun.errors import BrokerError, BrokerUnavailable
from gateway.core.errors import DispatchFailed

__all__ = ["dispatch_failed"]


def dispatch_failed(side: Side, error: BrokerError) -> DispatchFailed:
    """The same, said of a side. Only a link lost before the confirm leaves open whether the message was published."""
    maybe_published = isinstance(error, BrokerUnavailable) and error.maybe_published
    return DispatchFailed(side, str(error), maybe_published=maybe_published)
