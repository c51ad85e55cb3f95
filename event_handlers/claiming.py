"""A worker's way to its inbox: what is asked at one time goes together, and what is claimed is renewed until it is settled."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from event_handlers.inbox import Change, Claim, ClaimRequest, ClaimState, Inbox, InboxUnavailable, Verb

__all__ = ["ClaimDesk", "Ticket"]

log = logging.getLogger(__name__)

_BATCH_MAX = 512
_AWAY_S = 1.0
"""How long nobody is asked after the store was found out of reach: its silence must cost one wait, not one an event."""
T = TypeVar("T")
R = TypeVar("R")


class Ticket:
    """One wish to run one attempt, and the answer."""

    __slots__ = ("claim", "key", "token")

    def __init__(self, key: str, token: str) -> None:
        self.key = key
        self.token = token
        self.claim: Claim | None = None
        """None where the inbox is out of reach."""


class _Batch(Generic[T, R]):
    """Sends together what came while the batch before was under way. A failure is an answer, never raised."""

    def __init__(self, send: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> None:
        self._send = send
        self._waiting: list[tuple[T, asyncio.Future[R | InboxUnavailable]]] = []
        self._sending: asyncio.Task[None] | None = None

    def put(self, item: T) -> asyncio.Future[R | InboxUnavailable]:
        future: asyncio.Future[R | InboxUnavailable] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._run(), name="inbox")
        return future

    async def finish(self) -> None:
        if self._sending is not None:
            await self._sending

    async def _run(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:_BATCH_MAX], self._waiting[_BATCH_MAX:]
            answers: Sequence[R | InboxUnavailable]
            try:
                answers = await self._send([item for item, _ in taken])
            except InboxUnavailable as exc:
                answers = [exc] * len(taken)
            for (_, future), answer in zip(taken, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


class ClaimDesk:
    """Claims of one process for one scope (a queue): each event id is claimed there by itself."""

    def __init__(self, inbox: Inbox, scope: str) -> None:
        self._inbox = inbox
        self._scope = scope
        self._owner = secrets.token_hex(6)
        self._number = itertools.count()
        self._held: dict[str, Ticket] = {}
        self._claims = _Batch(self._claim)
        self._changes = _Batch(self._change)
        self._renewing: asyncio.Task[None] | None = None
        self._away_until_s = 0.0

    def start(self) -> None:
        """Begin to renew what is held."""
        self._renewing = asyncio.create_task(self._renew(), name="renew claims")

    async def stop(self) -> None:
        """Send what is still owed. What is held is freed by its lease."""
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewing
        await self._claims.finish()
        await self._changes.finish()

    async def claim(self, event_id: str, attempt: int) -> Ticket:
        """Ask for one attempt; what is ours is renewed until it is completed or released."""
        ticket = Ticket(f"{self._scope}:{event_id}", f"{self._owner}:{next(self._number)}")
        answer = await self._claims.put(ClaimRequest(ticket.key, ticket.token, attempt))
        if isinstance(answer, InboxUnavailable):
            return ticket
        ticket.claim = answer
        if answer.state is ClaimState.OURS:
            self._held[ticket.token] = ticket
        return ticket

    async def complete(self, ticket: Ticket, result: bytes) -> bool:
        """Have it done, with its result; False where the inbox is out of reach."""
        answer = await self._changes.put(Change(Verb.COMPLETE, ticket.key, ticket.token, result))
        if answer is None:
            self._held.pop(ticket.token, None)
        return answer is None

    async def pass_on(self, ticket: Ticket, next_attempt: int) -> None:
        """Free it for a later attempt, whose message is on its way."""
        self._held.pop(ticket.token, None)
        await self._changes.put(Change(Verb.RELEASE, ticket.key, ticket.token, next_attempt=next_attempt))

    def release(self, ticket: Ticket) -> None:
        """Free it soon, unless it is completed."""
        self._held.pop(ticket.token, None)
        self._changes.put(Change(Verb.RELEASE, ticket.key, ticket.token))

    def settle(self, ticket: Ticket) -> None:
        """Its result was handed on and its message acked."""
        self._held.pop(ticket.token, None)
        self._changes.put(Change(Verb.SETTLE, ticket.key))

    def forget(self, ticket: Ticket) -> None:
        """It was put aside, and may be replayed."""
        self._held.pop(ticket.token, None)
        self._changes.put(Change(Verb.FORGET, ticket.key))

    async def _claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        self._check_away()
        try:
            return await self._inbox.claim(requests)
        except InboxUnavailable as exc:
            self._note_away(exc)
            raise

    async def _change(self, changes: Sequence[Change]) -> Sequence[None]:
        self._check_away()
        try:
            await self._inbox.change(changes)
        except InboxUnavailable as exc:
            self._note_away(exc)
            raise
        return [None] * len(changes)

    def _check_away(self) -> None:
        if asyncio.get_running_loop().time() < self._away_until_s:
            raise InboxUnavailable("was out of reach a moment ago")

    def _note_away(self, exc: InboxUnavailable) -> None:
        self._away_until_s = asyncio.get_running_loop().time() + _AWAY_S
        log.warning("inbox_away", extra={"scope": self._scope, "error": str(exc)})

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._inbox.lease_s / 3)
            await asyncio.gather(*(self._changes.put(Change(Verb.RENEW, held.key, held.token)) for held in list(self._held.values())))
