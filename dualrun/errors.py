"""The error tree of the floor.

DualrunError
├── BrokerError            the message was not accepted, or nobody knows whether it was
│   ├── Unroutable         no queue takes it: nothing was published
│   ├── PublishRefused     the broker said no (a full queue): nothing was published
│   └── BrokerUnavailable  the broker is out of reach; `maybe_published` says whether the message may have arrived
├── NoReply                a request was published, and nobody answered in time
├── ShadowRefused          a shadow was about to touch the outside in a way that cannot be undone
└── ConfigurationError     a setting that cannot be worked with; the text names it and what would be right
"""

from __future__ import annotations

__all__ = [
    "BrokerError",
    "BrokerUnavailable",
    "ConfigurationError",
    "DualrunError",
    "NoReply",
    "PublishRefused",
    "ShadowRefused",
    "Unroutable",
]


class DualrunError(Exception):
    """Everything dualrun raises on purpose."""


class ConfigurationError(DualrunError):
    """A setting that cannot be worked with; the text names it and what would be right."""


class NoReply(DualrunError, TimeoutError):
    """A request was published, and nobody answered in time. Whether it was done, or still will be, is not known."""

    def __init__(self, routing_key: str, timeout_s: float) -> None:
        super().__init__(f"no reply to {routing_key!r} within {timeout_s:g} s")
        self.routing_key = routing_key
        self.timeout_s = timeout_s


class ShadowRefused(DualrunError, PermissionError):
    """A shadow was about to touch the outside in a way that cannot be undone; the text names it and how to declare it.

    An `OSError` too: libraries close what they had opened when they see one, and nothing else.
    """


class BrokerError(DualrunError):
    """A message was not accepted, or nobody knows whether it was."""


class Unroutable(BrokerError):
    """No queue takes the message: nothing was published."""

    def __init__(self, exchange: str, routing_key: str) -> None:
        super().__init__(f"no queue takes messages for {routing_key!r} on exchange {exchange or '(default)'!r}")
        self.exchange = exchange
        self.routing_key = routing_key


class PublishRefused(BrokerError):
    """The broker refused the message, as a full queue does: nothing was published."""


class BrokerUnavailable(BrokerError):
    """The broker is out of reach."""

    def __init__(self, reason: str, *, maybe_published: bool = False) -> None:
        super().__init__(f"message broker out of reach: {reason}")
        self.maybe_published = maybe_published
        """True when the link was lost between the publish and its confirm."""
