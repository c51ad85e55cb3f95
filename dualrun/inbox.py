"""What a service remembers of the events it took in, so that a redelivery neither repeats what is done nor loses what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dualrun.errors import DualrunError

__all__ = [
    "CANCELLED_KEEP_S",
    "KEEP_S",
    "LEASE_S",
    "RESULT_GIVEN_BACK",
    "SETTLED_KEEP_S",
    "Change",
    "Claim",
    "ClaimRequest",
    "ClaimState",
    "Inbox",
    "InboxUnavailable",
    "Verb",
    "claim_id",
    "claim_key",
    "event_identity",
    "given_back_result",
]

LEASE_S = 10.0
"""How long a claim holds that nobody renews: what a crash delays the work it interrupted."""
KEEP_S = 24 * 3600.0
"""How long a completion is kept whose message may still come again."""
CANCELLED_KEEP_S = 366 * 24 * 3600.0
"""How long it is known that an event is not wanted which may wait for any time: for its own, or for a retry somebody put off."""
SETTLED_KEEP_S = 3600.0
"""How long it is known that an event was done, once its message was acked."""


def claim_id(identity: str, times: int) -> str:
    """What a submission, or an event by its `event_identity`, is claimed as.

    `times` is how often a submission was taken from the events side and came again, or an event was put aside and replayed: it is another
    piece of work each time.
    """
    return f"{identity}~{times}" if times else identity


def event_identity(source: str, event_id: str) -> str:
    """Which event it is, where it is no submission: CloudEvents has ids tell events of one source apart, and no others."""
    return f"{source}\x1f{event_id}"


def claim_key(queue: str, claim: str) -> str:
    """Where an inbox keeps a claim: each queue claims by itself."""
    return f"{queue}:{claim}"


RESULT_GIVEN_BACK = b"b"
"""The first byte of a result that says: given back to a gateway."""


def given_back_result(version: int) -> bytes:
    """The result of an event that was given back because of a flag version: what comes of it twice is given back again."""
    return RESULT_GIVEN_BACK + str(version).encode()


class InboxUnavailable(DualrunError):
    """The store is out of reach; nobody knows whether the last changes were made."""


class ClaimState(StrEnum):
    """Whose an event is."""

    OURS = "ours"
    """Run it."""
    HELD = "held"
    """Another attempt runs now."""
    DONE = "done"
    """It is completed."""
    CANCELLED = "cancelled"
    """It is not wanted any more."""
    SUPERSEDED = "superseded"
    """A later attempt was asked for, and its message is on its way."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A wish to run one attempt. `token` is the claim's own: no other has it."""

    key: str
    token: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer."""

    state: ClaimState
    held_s: float = 0.0
    """Where held: seconds until the lease runs out unless it is renewed."""
    result: bytes = b""
    """Where done: what was stored; empty once it was settled."""
    lost: int = 0
    """Where ours: how many claims before it ran out, their holders lost, since the last end of an attempt was told."""


class Verb(StrEnum):
    """What happens to a claim."""

    RENEW = "renew"
    """The lease begins anew, where the token still holds it."""
    COMPLETE = "complete"
    """Done, with a result. The first completion stays; it needs no lease, for what is done is done."""
    RELEASE = "release"
    """Free again, where the token still holds it, and not counted as lost. A `next_attempt` above 0 turns earlier attempts away."""
    SETTLE = "settle"
    """The result has been handed on: only that it is done is still kept, and not for long."""
    CANCEL = "cancel"
    """Not to be run any more, whoever holds it; what is done stays done."""
    FORGET = "forget"
    """As if it had never come."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happens to one claim."""

    verb: Verb
    key: str
    token: str = ""
    result: bytes = b""
    next_attempt: int = 0
    keep_s: float | None = None
    """With CANCEL: how long that is remembered; None for as long as a completion."""


class Inbox(Protocol):
    """A store of claims, shared by the workers of a service. Both calls take many at once and are atomic for each."""

    @property
    def lease_s(self) -> float: ...

    async def claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        """An answer a request, in order; asking again with the same token is answered the same. Raises `InboxUnavailable`."""
        ...

    async def change(self, changes: Sequence[Change]) -> None:
        """Make the changes, in order. Raises `InboxUnavailable`."""
        ...

    async def cancelled(self, keys: Sequence[str]) -> Sequence[bool]:
        """Which of these are not wanted any more, in order. Raises `InboxUnavailable`."""
        ...

    async def close(self) -> None:
        """Leave the store."""
        ...
