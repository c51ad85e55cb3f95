"""Events as CloudEvents 1.0, AMQP protocol binding, binary mode: attributes in the headers, data as the body.

Once the gateway is gone these are ordinary events; what belongs to a migration travels in headers of its own (`topology`).
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/amqp-protocol-binding.md
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from dualrun.contracts.values import JsonObject

__all__ = ["CONTENT_TYPE", "Event", "NotAnEvent", "event_from_message", "headers_of"]

CONTENT_TYPE = "application/json"
SPEC_VERSION = "1.0"
_PREFIX = "cloudEvents:"
# AMQP 1.0 brokers and JMS clients write the underscore; both are in the binding, and of one length.
_PREFIXES = (_PREFIX, "cloudEvents_")


class NotAnEvent(ValueError):
    """A message that is no CloudEvent of this binding; the text names the attribute or the body."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, or a request, addressed by its type. `payload` is the `data` of CloudEvents."""

    id: str
    type: str
    source: str
    time: datetime
    payload: JsonObject = msgspec.field(default_factory=dict)
    subject: str | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Headers beside the attributes: `traceparent`, `dualrun-*`, the user's own."""


def headers_of(event: Event) -> dict[str, str]:
    """The AMQP headers of an event: its attributes under their prefix, its other headers as they are."""
    headers = {
        **event.headers,
        f"{_PREFIX}specversion": SPEC_VERSION,
        f"{_PREFIX}id": event.id,
        f"{_PREFIX}type": event.type,
        f"{_PREFIX}source": event.source,
        f"{_PREFIX}time": event.time.astimezone(UTC).isoformat(),
    }
    if event.subject is not None:
        headers[f"{_PREFIX}subject"] = event.subject
    return headers


@lru_cache(maxsize=1024)
def _attribute_of(header: str) -> str | None:
    """The attribute a header stands for, if it does; the same few names come with each message."""
    return header[len(_PREFIX) :] if header.startswith(_PREFIXES) else None


def event_from_message(headers: Mapping[str, object], body: bytes) -> Event:
    """The event a message holds.

    Raises `NotAnEvent` when a required attribute is missing or unreadable, or the body is not a JSON object.
    """
    attributes: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, value in headers.items():
        text = value if isinstance(value, str) else str(value)
        attribute = _attribute_of(name)
        if attribute is None:
            others[name] = text
        else:
            attributes[attribute] = text
    if attributes.get("specversion") != SPEC_VERSION:
        raise NotAnEvent(f"specversion is {attributes.get('specversion')!r}, should be {SPEC_VERSION!r}")
    missing = [name for name in ("id", "type", "source") if not attributes.get(name)]
    if missing:
        raise NotAnEvent(f"required attribute missing: {', '.join(missing)}")
    return Event(
        id=attributes["id"],
        type=attributes["type"],
        source=attributes["source"],
        time=_time(attributes.get("time")),
        payload=_payload(body),
        subject=attributes.get("subject"),
        headers=others,
    )


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        return msgspec.convert(text, datetime, strict=True)
    except msgspec.ValidationError as exc:
        raise NotAnEvent(f"time is not RFC 3339: {text!r}") from exc


def _payload(body: bytes) -> JsonObject:
    try:
        payload: JsonObject = _decode_payload(body or b"{}")
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise NotAnEvent(f"data is not a JSON object: {exc}") from exc
    return payload


_decode_payload = msgspec.json.Decoder(JsonObject).decode
