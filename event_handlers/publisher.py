"""Publishing events: confirmed, traced, and held back in a shadow."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from dualrun import effects
from dualrun.broker import Broker, Exchange, Message
from dualrun.contracts import EffectKind, Event, headers_of, typed_json
from dualrun.contracts.topology import EVENTS_EXCHANGE, HEADER_ETA, HEADER_EXPIRES, HEADER_TRACEPARENT
from dualrun.errors import ShadowRefused, Unroutable
from dualrun.telemetry import traceparent_here
from event_handlers.replying import value_of

__all__ = ["EVENTS", "EventPublisher"]

EVENTS = Exchange(EVENTS_EXCHANGE)
"""Where events go that name no other exchange: topic, by type."""


class EventPublisher:
    """Publishes events of one source (a URI reference, `/shop`)."""

    def __init__(self, broker: Broker, source: str) -> None:
        self._broker = broker
        self._source = source

    async def publish(
        self,
        type: str,  # noqa: A002 - CloudEvents' name of it
        payload: object,
        *,
        subject: str | None = None,
        headers: Mapping[str, str] | None = None,
        exchange: Exchange = EVENTS,
        not_before: datetime | None = None,
        expires: datetime | None = None,
        priority: int | None = None,
        event_id: str | None = None,
        required: bool = True,
    ) -> Event:
        """Return the event once the broker confirmed it; in a shadow it is noted as an effect and does not leave.

        `payload` is a mapping, a msgspec Struct or a dataclass. It is not handled `not_before`, however far away that is, and not at all
        once it `expires`. `priority` (0..9, 9 first) counts in queues that have priorities. `event_id` is for who has one that
        comes again when the same is published again; else it is random. With `required` False nobody needs to listen.
        Raises `Unroutable`, `PublishRefused`, `BrokerUnavailable`; `UnserializableValue` or `TypeError` for a payload that is no JSON
        object.
        """
        own = {**(headers or {}), **_times(not_before, expires)}
        event = self._event(type, payload, subject, own, event_id)
        if effects.effect(EffectKind.MESSAGE, type, event.payload):
            try:
                await self._broker.publish(exchange.name, type, _message_of(event, priority))
            except Unroutable:
                if required:
                    raise
        return event

    async def request(
        self,
        type: str,  # noqa: A002 - CloudEvents' name of it
        payload: object,
        *,
        deadline_s: float,
        subject: str | None = None,
        headers: Mapping[str, str] | None = None,
        exchange: Exchange = EVENTS,
    ) -> object:
        """What the handler of this type returns, retries included; a request that nobody awaits any more is not handled.

        The event should reach one queue: of several replies the first counts. Raises as `publish`; `RequestFailed` with the handler's
        error; `NoReply` after `deadline_s`; `ShadowRefused` in a shadow, for which nobody can invent the answer.
        """
        expires = datetime.now(UTC) + timedelta(seconds=deadline_s)
        event = self._event(type, payload, subject, {**(headers or {}), **_times(None, expires)}, None)
        if not effects.effect(EffectKind.MESSAGE, type, event.payload):
            raise ShadowRefused(f"a shadow was about to ask for {type!r}: its answer cannot be held back")
        return value_of(await self._broker.request(exchange.name, type, _message_of(event, None), timeout_s=deadline_s))

    def _event(
        self,
        type: str,  # noqa: A002
        payload: object,
        subject: str | None,
        headers: Mapping[str, str],
        event_id: str | None,
    ) -> Event:
        plain = typed_json.encode(payload)
        if not isinstance(plain, dict):
            raise TypeError(f"the payload of an event is an object, not {payload.__class__.__name__}")
        traceparent = traceparent_here()
        return Event(
            id=event_id or str(uuid.uuid4()),
            type=type,
            source=self._source,
            time=datetime.now(UTC),
            payload=plain,
            subject=subject,
            headers={**({HEADER_TRACEPARENT: traceparent} if traceparent else {}), **headers},
        )


def _times(not_before: datetime | None, expires: datetime | None) -> dict[str, str]:
    """Headers of an event's times. Raises `ValueError` for one without a zone: it would mean another moment on another machine."""
    times = {HEADER_ETA: not_before, HEADER_EXPIRES: expires}
    for moment in times.values():
        if moment is not None and moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()} has no time zone: use datetime.now(UTC) and the like")
    return {name: moment.astimezone(UTC).isoformat() for name, moment in times.items() if moment is not None}


def _message_of(event: Event, priority: int | None) -> Message:
    return Message(body=msgspec.json.encode(event.payload), headers=headers_of(event), message_id=event.id, priority=priority)
