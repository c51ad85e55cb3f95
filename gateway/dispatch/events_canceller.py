"""The events side: a cancelled claim in the inbox that its workers ask before they run anything."""

from __future__ import annotations

from datetime import UTC, datetime

from dualrun.contracts import Role, Side
from dualrun.contracts.topology import service_queue, shadow_queue
from dualrun.inbox import KEEP_S, Change, Inbox, InboxUnavailable, Verb, claim_id, claim_key
from gateway.core.cancellation import Cancellation
from gateway.core.errors import CancelFailed
from gateway.core.moment import as_utc

__all__ = ["EventsCanceller"]

_SHADOW_IS_TOLD = (
    "its workers were told through their inbox: a shadow that waits ends as revoked, one at work is cancelled within seconds; should a "
    "flag change send the work itself here, it ends as revoked"
)
_IS_TOLD = (
    "its workers were told through their inbox: what waits ends as revoked, a handler at work is cancelled when its claim is next renewed"
)


class EventsCanceller:
    """Implements `Canceller` over the inbox the workers of the services share: in Redis, or in memory."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    @property
    def side(self) -> Side:
        return Side.EVENTS

    async def cancel(self, cancellation: Cancellation) -> str:
        """Return once it is stored. Raises `CancelFailed`."""
        submission, service = cancellation.submission, cancellation.served.service
        if not service:
            raise CancelFailed(self.side, "its workers do not say which service they are, so nobody knows where they claim their work")
        keep_s = KEEP_S + _ahead_s(submission.options.eta)
        # A flag change may be moving it right now: it would come, or come back, as one redirect more.
        claims = [claim_key(service_queue(service), claim_id(submission.id, redirects)) for redirects in range(cancellation.redirects + 2)]
        claims.append(claim_key(shadow_queue(service), claim_id(submission.id, 0)))
        try:
            await self._inbox.change([Change(Verb.CANCEL, claim, keep_s=keep_s) for claim in claims])
        except InboxUnavailable as exc:
            raise CancelFailed(self.side, str(exc)) from exc
        return _SHADOW_IS_TOLD if cancellation.role is Role.SHADOW else _IS_TOLD


def _ahead_s(eta: datetime | None) -> float:
    return 0.0 if eta is None else max(0.0, (as_utc(eta) - datetime.now(UTC)).total_seconds())
