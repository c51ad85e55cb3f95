"""An event as it arrives, with what its headers say about the migration."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from dualrun.broker import Message
from dualrun.contracts import Event, NotAnEvent, Role, Safety, event_from_message
from dualrun.contracts.topology import (
    HEADER_ATTEMPT,
    HEADER_ETA,
    HEADER_EXPIRES,
    HEADER_FLAG_VERSION,
    HEADER_PUT_ASIDE,
    HEADER_REDIRECTS,
    HEADER_RETRY_DELAYS,
    HEADER_ROLE,
    HEADER_SAFETY,
    HEADER_SERVICE,
    HEADER_SHADOWED,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
    retry_delays_of,
    retry_within_of,
    safety_of,
)
from dualrun.inbox import claim_id, event_identity

__all__ = ["HEADER_NOT_BEFORE", "Arrival", "arrival_of"]

HEADER_NOT_BEFORE = "dualrun-not-before"
"""ISO 8601, UTC: when an attempt further away than the longest retry queue is due."""
_NUMBER_MAX = 2**31 - 1
"""Beyond it nobody counts in earnest, and stores no longer take the number."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One event in hand. Times are aware."""

    event: Event
    role: Role
    submission_id: str | None = None
    """None for an ordinary event: it yields no outcome."""
    service: str | None = None
    """The service a submission is for; None for any."""
    attempt: int = 1
    retry_delays_s: tuple[float, ...] = ()
    retry_within_s: tuple[float, ...] = ()
    eta: datetime | None = None
    not_before: datetime | None = None
    expires: datetime | None = None
    submitted_at: datetime | None = None
    flag_version: int = 0
    redirects: int = 0
    put_asides: int = 0
    """How often it was handled and put aside, and is replayed."""
    traceparent: str | None = None
    shadowed: bool = False
    """Whether a shadow of it will ask what the outside answered."""
    safety: Safety | None = None
    """Of a shadow: the safety class it runs under. None where the message does not say."""

    @property
    def claim_id(self) -> str:
        """What is claimed to run it, as `dualrun.inbox.claim_id` says."""
        if self.submission_id is not None:
            return claim_id(self.submission_id, self.redirects)
        return claim_id(event_identity(self.event.source, self.event.id), self.put_asides)

    def is_expired(self, now: datetime) -> bool:
        """Whether nobody wants it done any more."""
        return self.expires is not None and self.expires <= now

    def wait_s(self, now: datetime) -> float:
        """Seconds until it may start; 0 when it may."""
        due = max((moment for moment in (self.eta, self.not_before) if moment is not None), default=now)
        return max(0.0, (due - now).total_seconds())

    def queued_ms(self, started_at: datetime) -> float | None:
        """From the submission, or its eta, to the start; None where neither is known."""
        since = self.eta or self.submitted_at
        return None if since is None else max(0.0, (started_at - since).total_seconds() * 1e3)


def arrival_of(message: Message, lane: Role) -> Arrival:
    """The event a message of one lane holds.

    Raises `NotAnEvent` naming what is unreadable. A message in the shadow lane that does not say it is a shadow is refused: it must not run
    with real effects, and nobody knows whether it was meant to.
    """
    event = event_from_message(message.headers, message.body)
    headers = event.headers
    submission_id = headers.get(HEADER_SUBMISSION_ID)
    role = _role(headers.get(HEADER_ROLE), lane)
    if lane is Role.SHADOW and submission_id is None:
        raise NotAnEvent(f"{HEADER_SUBMISSION_ID} is missing in the shadow lane")
    return Arrival(
        event=event,
        role=role,
        submission_id=submission_id,
        service=headers.get(HEADER_SERVICE),
        attempt=_number(headers.get(HEADER_ATTEMPT), HEADER_ATTEMPT, 1, least=1),
        retry_delays_s=retry_delays_of(headers.get(HEADER_RETRY_DELAYS)),
        retry_within_s=retry_within_of(headers.get(HEADER_RETRY_DELAYS)),
        eta=_moment(headers.get(HEADER_ETA), HEADER_ETA),
        not_before=_moment(headers.get(HEADER_NOT_BEFORE), HEADER_NOT_BEFORE),
        expires=_moment(headers.get(HEADER_EXPIRES), HEADER_EXPIRES),
        submitted_at=_moment(headers.get(HEADER_SUBMITTED_AT), HEADER_SUBMITTED_AT),
        flag_version=_number(headers.get(HEADER_FLAG_VERSION), HEADER_FLAG_VERSION, 0),
        redirects=_number(headers.get(HEADER_REDIRECTS), HEADER_REDIRECTS, 0),
        put_asides=_number(headers.get(HEADER_PUT_ASIDE), HEADER_PUT_ASIDE, 0),
        traceparent=headers.get(HEADER_TRACEPARENT),
        shadowed=role is Role.AUTHORITY and HEADER_SHADOWED in headers,
        safety=safety_of(headers.get(HEADER_SAFETY)),
    )


def _role(text: str | None, lane: Role) -> Role:
    if text is not None and text != lane.value:
        raise NotAnEvent(f"{HEADER_ROLE} is {text!r} in the {lane.value} lane")
    return lane


def _number(text: str | None, name: str, default: int, *, least: int = 0) -> int:
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError as exc:
        raise NotAnEvent(f"{name} is {text[:40]!r}, should be an integer") from exc
    if not least <= number <= _NUMBER_MAX:
        raise NotAnEvent(f"{name} is {text[:40]!r}, should be from {least} to {_NUMBER_MAX}")
    return number


def _moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        # In UTC, so that one at the edge of the calendar is refused here and not where it is reckoned with.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise NotAnEvent(f"{name} is {text[:40]!r}, should be ISO 8601, and between the years 1 and 9999 in UTC") from exc
