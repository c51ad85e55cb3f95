"""The headers a dead letter carries, as RabbitMQ writes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from itertools import takewhile

from dualrun.broker.port import HeaderValue, Message

__all__ = ["DeathReason", "is_cycle", "with_death"]


class DeathReason(StrEnum):
    """Why a message left its queue without an ack."""

    REJECTED = "rejected"
    EXPIRED = "expired"
    MAXLEN = "maxlen"
    DELIVERY_LIMIT = "delivery_limit"


def with_death(message: Message, *, queue: str, exchange: str, routing_key: str, reason: DeathReason, at: datetime) -> Message:
    """The message as the dead-letter exchange gets it: the newest death first, deaths alike counted together.

    It loses its expiration, else it would expire again wherever it goes next; the death remembers it.
    """
    deaths = _deaths(message)
    alike = [death for death in deaths if death.get("queue") == queue and death.get("reason") == reason.value]
    death: dict[str, HeaderValue] = {
        "count": 1,
        "reason": reason.value,
        "queue": queue,
        "time": at.replace(microsecond=0).isoformat(),
        "exchange": exchange,
        "routing-keys": [routing_key],
    }
    if alike:
        count = alike[0].get("count")
        death = {**alike[0], "count": (count if isinstance(count, int) else 0) + 1}
    elif message.expiration_ms is not None:
        death["original-expiration"] = str(message.expiration_ms)
    first: dict[str, HeaderValue] = {
        "x-first-death-reason": reason.value,
        "x-first-death-queue": queue,
        "x-first-death-exchange": exchange,
    }
    headers = {**first, **message.headers, "x-death": [death, *(other for other in deaths if other not in alike)]}
    return replace(message, headers=headers, expiration_ms=None)


def is_cycle(dead_letter: Message, queue: str) -> bool:
    """Whether a dead letter comes back to a queue it already left, without anybody having rejected it on the way.

    RabbitMQ drops such a message. Source: https://www.rabbitmq.com/docs/dlx#automatic-dead-letter-cycles
    """
    deaths = _deaths(dead_letter)
    since = list(takewhile(lambda death: death.get("queue") != queue, deaths))
    if len(since) == len(deaths):
        return False
    return all(death.get("reason") != DeathReason.REJECTED.value for death in deaths[: len(since) + 1])


def _deaths(message: Message) -> list[Mapping[str, HeaderValue]]:
    deaths = message.headers.get("x-death")
    if not isinstance(deaths, Sequence) or isinstance(deaths, str | bytes):
        return []
    return [death for death in deaths if isinstance(death, Mapping)]
