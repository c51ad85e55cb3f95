"""Publishing events: confirmed, traced, and held back in a shadow."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from dualrun import effects
from dualrun.broker import Broker, Message
from dualrun.contracts import EffectKind, Event, headers_of, typed_json
from dualrun.contracts.topology import EVENTS_EXCHANGE, HEADER_TRACEPARENT
from dualrun.errors import Unroutable
from dualrun.telemetry import traceparent_here

__all__ = ["EventPublisher"]


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
        required: bool = True,
    ) -> Event:
        """Return the event once the broker confirmed it; in a shadow it is noted as an effect and does not leave.

        `payload` is a mapping, a msgspec Struct or a dataclass. With `required` False nobody needs to listen. Raises `Unroutable`,
        `PublishRefused`, `BrokerUnavailable`; `UnserializableValue` or `TypeError` for a payload that is no JSON object.
        """
        plain = typed_json.encode(payload)
        if not isinstance(plain, dict):
            raise TypeError(f"the payload of an event is an object, not {payload.__class__.__name__}")
        traceparent = traceparent_here()
        event = Event(
            id=str(uuid.uuid4()),
            type=type,
            source=self._source,
            time=datetime.now(UTC),
            payload=plain,
            subject=subject,
            headers={**({HEADER_TRACEPARENT: traceparent} if traceparent else {}), **(headers or {})},
        )
        if effects.effect(EffectKind.MESSAGE, type, plain):
            await self._send(event, required=required)
        return event

    async def _send(self, event: Event, *, required: bool) -> None:
        message = Message(body=msgspec.json.encode(event.payload), headers=headers_of(event), message_id=event.id)
        try:
            await self._broker.publish(EVENTS_EXCHANGE, event.type, message)
        except Unroutable:
            if required:
                raise
