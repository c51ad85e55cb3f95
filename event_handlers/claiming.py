"""A worker's way to its inbox: what is asked at one time goes together, and what is claimed is renewed until it is settled."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from dualrun.background import cancelled
from dualrun.inbox import Change, Claim, ClaimRequest, ClaimState, Inbox, InboxUnavailable, Verb, claim_key

__all__ = ["ClaimDesk", "Ticket"]

log = logging.getLogger(__name__)

_BATCH_MAX = 512
_AWAY_S = 1.0
"""How long nobody is asked after the store was found out of reach: its silence must cost one wait, not one an event."""
T = TypeVar("T")
R = TypeVar("R")


class Ticket:
    """One wish to run one attempt, and the answer."""

    __slots__ = ("claim", "is_cancelled", "key", "running", "token")

    def __init__(self, key: str, token: str) -> None:
        self.key = key
        self.token = token
        self.claim: Claim | None = None
        """None where the inbox is out of reach."""
        self.running: asyncio.Task[object] | None = None
        """The handler at work."""
        self.is_cancelled = False
        """The event is not wanted any more; its handler was cancelled, if it was at work."""

    def cancel(self) -> None:
        """Cancel the handler, if it is at work."""
        if self.running is not None and not self.is_cancelled:
            self.is_cancelled = True
            self.running.cancel()


class _Batch(Generic[T, R]):
    """Sends together what came while the batch before was under way. A failure is an answer, never raised.

    What fails for another reason than the inbox being away is sent again one by one, so that an item fails nobody but its own caller.
    """

    def __init__(self, send: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> None:
        self._send = send
        self._waiting: list[tuple[T, asyncio.Future[R | Exception]]] = []
        self._sending: asyncio.Task[None] | None = None

    def put(self, item: T) -> asyncio.Future[R | Exception]:
        future: asyncio.Future[R | Exception] = asyncio.get_running_loop().create_future()
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
            for (_, future), answer in zip(taken, await self._answers([item for item, _ in taken]), strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _answers(self, items: Sequence[T]) -> Sequence[R | Exception]:
        try:
            return await self._send(items)
        except InboxUnavailable as exc:
            return [exc] * len(items)
        except Exception as exc:
            # Whoever awaits an answer must get one, and the next batch must be sent: nobody else does.
            if len(items) > 1:
                return [answer for item in items for answer in await self._answers([item])]
            log.exception("inbox_failed")
            return [exc]


class ClaimDesk:
    """Claims of one process for one scope (a queue): each claim id, as `dualrun.inbox.claim_id` says, is claimed there by itself."""

    def __init__(self, inbox: Inbox, scope: str) -> None:
        self._inbox = inbox
        self._scope = scope
        self._owner = secrets.token_hex(6)
        self._number = itertools.count()
        self._held: dict[str, Ticket] = {}
        self._attended: dict[str, Ticket] = {}
        self._claims = _Batch(self._claim)
        self._looks = _Batch(self._look)
        self._changes = _Batch(self._change)
        self._renewing: asyncio.Task[None] | None = None
        self._away_until_s = 0.0
        self._away_since_s: float | None = None

    @property
    def away_s(self) -> float:
        """How long the inbox has been out of reach; 0 while it answers."""
        return 0.0 if self._away_since_s is None else asyncio.get_running_loop().time() - self._away_since_s

    def start(self) -> None:
        """Begin to renew what is held."""
        self._renewing = asyncio.create_task(self._renew(), name="renew claims")

    async def stop(self) -> None:
        """Send what is still owed. What is held is freed by its lease."""
        await cancelled(self._renewing)
        await self._claims.finish()
        await self._looks.finish()
        await self._changes.finish()

    async def claim(self, claim_id: str, attempt: int) -> Ticket:
        """Ask for one attempt; what is ours is renewed until it is completed or released.

        Raises what the inbox raises for it, being out of reach excepted.
        """
        ticket = Ticket(claim_key(self._scope, claim_id), f"{self._owner}:{next(self._number)}")
        answer = await self._claims.put(ClaimRequest(ticket.key, ticket.token, attempt))
        if isinstance(answer, InboxUnavailable):
            return ticket
        if isinstance(answer, Exception):
            raise answer
        ticket.claim = answer
        if answer.state is ClaimState.OURS:
            self._held[ticket.token] = ticket
        return ticket

    async def attend(self, claim_id: str) -> Ticket:
        """Follow an event that needs no claim, until `leave`: its ticket says whether it is wanted, and is told when it is not any more.

        It is wanted while the inbox is out of reach.
        """
        ticket = Ticket(claim_key(self._scope, claim_id), f"{self._owner}:{next(self._number)}")
        ticket.is_cancelled = await self._looks.put(ticket.key) is True
        self._attended[ticket.token] = ticket
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Follow it no more."""
        self._attended.pop(ticket.token, None)

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

    async def cancel(self, *claim_ids: str, keep_s: float) -> bool:
        """Have what is claimed as one of these not run any more, wherever it is; False where the inbox is out of reach.

        That is remembered for `keep_s`.
        """
        changes = [Change(Verb.CANCEL, claim_key(self._scope, claim_id), keep_s=keep_s) for claim_id in claim_ids]
        answers = await asyncio.gather(*map(self._changes.put, changes))
        await self._cancel_held()
        return all(answer is None for answer in answers)

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

    async def forgotten(self, ticket: Ticket) -> bool:
        """Forget it before it is put aside; False where the inbox is out of reach."""
        self._held.pop(ticket.token, None)
        return await self._changes.put(Change(Verb.FORGET, ticket.key)) is None

    async def _claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        self._check_away()
        try:
            claims = await self._inbox.claim(requests)
        except InboxUnavailable as exc:
            self._note_away(exc)
            raise
        self._away_since_s = None
        return claims

    async def _look(self, keys: Sequence[str]) -> Sequence[bool]:
        self._check_away()
        try:
            return await self._inbox.cancelled(keys)
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
        now_s = asyncio.get_running_loop().time()
        self._away_until_s = now_s + _AWAY_S
        if self._away_since_s is None:
            self._away_since_s = now_s
        log.warning("inbox_away", extra={"scope": self._scope, "error": str(exc)})

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._inbox.lease_s / 3)
            await asyncio.gather(*(self._changes.put(Change(Verb.RENEW, held.key, held.token)) for held in list(self._held.values())))
            await self._cancel_held()

    async def _cancel_held(self) -> None:
        """Cancel those of our handlers whose events are not wanted any more."""
        held = [*self._held.values(), *self._attended.values()]
        try:
            self._check_away()
            cancelled = await self._inbox.cancelled([ticket.key for ticket in held])
        except InboxUnavailable:
            return
        except Exception:
            # A look that fails is made up for by the next one; ended, nothing would be renewed any more.
            log.exception("inbox_failed", extra={"scope": self._scope})
            return
        for ticket, is_cancelled in zip(held, cancelled, strict=True):
            if is_cancelled:
                ticket.cancel()
