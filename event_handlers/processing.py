"""What becomes of one delivery: run, tried again, parked, recorded, or put aside."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from dualrun.broker import Broker, Delivery
from dualrun.broker.headers import fresh_headers
from dualrun.contracts import NotAnEvent, Outcome, Role, decode_records
from dualrun.contracts.topology import DEAD_LETTERS, HEADER_DEAD_REASON, HEADER_DEAD_TRACEBACK
from dualrun.errors import BrokerError
from event_handlers.arrival import Arrival, arrival_of
from event_handlers.attempt import Attempt, expired_outcome, make_attempt
from event_handlers.claiming import ClaimDesk, Ticket
from event_handlers.definition import Handler
from event_handlers.inbox import ClaimState
from event_handlers.ladder import RetryLadder
from event_handlers.policy import failure_of
from event_handlers.publisher import EventPublisher
from event_handlers.recorder import Recorder, encode_outcome

__all__ = ["Processor"]

log = logging.getLogger(__name__)

_REASON_MAX = 500
_INBOX_AWAY_S = 1.0
# What a stored result is: an outcome to record, a reason to put the message aside for, or nothing more to do.
_OUTCOME, _ASIDE, _NOTHING = b"o", b"a", b""


@dataclass(slots=True, kw_only=True)
class Processor:
    """Settles every delivery of one lane."""

    role: Role
    """What the lane is for."""
    find: Callable[[str], Handler | None]
    broker: Broker
    publisher: EventPublisher
    recorder: Recorder | None
    """None where submissions are not expected: everything is an ordinary event then."""
    ladder: RetryLadder
    desk: ClaimDesk | None = None
    """None runs every delivery, repeated or not."""
    counts: Counter[str] = field(default_factory=Counter)
    """Deliveries by what became of them: handled, failed, retried, parked, expired, dead_lettered. Of claims: repeated (done before, its
    outcome sent again), held (another has it: parked), superseded (a later attempt is on its way), unclaimed (run with the inbox away)."""

    async def process(self, delivery: Delivery) -> None:
        """Settle the delivery, as the last step."""
        try:
            arrival = arrival_of(delivery.message, self.role)
        except NotAnEvent as exc:
            await self._put_aside(delivery, f"unreadable: {exc}")
            return
        handler = self.find(arrival.event.type)
        if handler is None:
            await self._put_aside(delivery, f"no handler for {arrival.event.type!r}")
            return
        now = datetime.now(UTC)
        wait_s = 0.0 if arrival.is_expired(now) else arrival.wait_s(now)
        if wait_s > 0:
            await self._park(delivery, wait_s, "parked")
        elif self.desk is None:
            await self._run(delivery, handler, arrival, None)
        else:
            await self._run_if_ours(self.desk, delivery, handler, arrival)

    async def _run_if_ours(self, desk: ClaimDesk, delivery: Delivery, handler: Handler, arrival: Arrival) -> None:
        ticket = await desk.claim(arrival.submission_id or arrival.event.id, arrival.attempt)
        claim = ticket.claim
        if claim is None and handler.policy.on_inbox_away == "wait":
            await self._park(delivery, _INBOX_AWAY_S, "parked")
        elif claim is None or claim.state is ClaimState.OURS:
            self.counts["unclaimed"] += claim is None
            await self._run_claimed(desk, delivery, handler, arrival, ticket)
        elif claim.state is ClaimState.DONE:
            self.counts["repeated"] += 1
            log.info("event_repeated", extra=_named(arrival))
            await self._hand_on(delivery, claim.result, ticket)
        elif claim.state is ClaimState.HELD:
            await self._park(delivery, claim.held_s, "held")
        else:
            self.counts["superseded"] += 1
            delivery.ack()

    async def _run_claimed(self, desk: ClaimDesk, delivery: Delivery, handler: Handler, arrival: Arrival, ticket: Ticket) -> None:
        try:
            await self._run(delivery, handler, arrival, ticket)
        except BaseException:
            desk.release(ticket)
            raise

    async def _run(self, delivery: Delivery, handler: Handler, arrival: Arrival, ticket: Ticket | None) -> None:
        now = datetime.now(UTC)
        if not arrival.is_expired(now):
            await self._conclude(delivery, handler, await make_attempt(handler, arrival, self.publisher), ticket)
            return
        self._expire(delivery, arrival, now)
        if self.desk is not None and ticket is not None:
            self.desk.release(ticket)

    async def _park(self, delivery: Delivery, wait_s: float, why: str) -> None:
        await self.ladder.park(delivery.message, delivery.queue, wait_s)
        self.counts[why] += 1
        delivery.ack()

    def _expire(self, delivery: Delivery, arrival: Arrival, now: datetime) -> None:
        self.counts["expired"] += 1
        log.info("event_expired", extra=_named(arrival))
        if self.recorder is not None and arrival.submission_id is not None:
            self.recorder.add(expired_outcome(arrival, arrival.submission_id, now), delivery)
        else:
            delivery.ack()

    async def _conclude(self, delivery: Delivery, handler: Handler, attempt: Attempt, ticket: Ticket | None) -> None:
        arrival, error = attempt.arrival, attempt.error
        delay_s = None if error is None else handler.policy.next_delay_s(arrival.attempt, error)
        if delay_s is not None:
            log.info("event_retried", extra={**_named(arrival), "attempt": arrival.attempt, "delay_s": delay_s})
            await self.ladder.postpone(delivery.message, delivery.queue, delay_s, arrival.attempt + 1)
            self.counts["retried"] += 1
            if self.desk is not None and ticket is not None:
                await self.desk.pass_on(ticket, arrival.attempt + 1)
            delivery.ack()
            return
        self.counts["handled" if error is None else "failed"] += 1
        if error is not None:
            log.warning("event_failed", extra={**_named(arrival), "attempt": arrival.attempt, "error": type(error).__name__})
        if self.recorder is not None and arrival.submission_id is not None:
            outcome = attempt.outcome(arrival.submission_id)
            if self.desk is None or ticket is None:
                self.recorder.add(outcome, delivery)
                return
            await self._complete(self.desk, ticket, handler, _OUTCOME + encode_outcome(outcome))
            self._record(outcome, delivery, ticket)
            return
        result = _NOTHING if error is None else _aside(arrival, error)
        if self.desk is not None and ticket is not None:
            await self._complete(self.desk, ticket, handler, result)
        await self._hand_on(delivery, result, ticket)

    async def _complete(self, desk: ClaimDesk, ticket: Ticket, handler: Handler, result: bytes) -> None:
        """Store the result, before anything is told of it. A handler that would rather wait than run unclaimed waits here too."""
        while not await desk.complete(ticket, result):
            if handler.policy.on_inbox_away == "run":
                self.counts["unclaimed"] += ticket.claim is not None
                return
            await asyncio.sleep(_INBOX_AWAY_S)

    async def _hand_on(self, delivery: Delivery, result: bytes, ticket: Ticket | None) -> None:
        """Do what a result asks for, at the end of an attempt or when its message comes again."""
        kind, content = result[:1], result[1:]
        if kind == _OUTCOME:
            (outcome,) = decode_records(b"[" + content + b"]")
            assert isinstance(outcome, Outcome)
            self._record(outcome, delivery, ticket)
        elif kind == _ASIDE:
            reason, _, traceback = content.decode().partition("\0")
            await self._put_aside(delivery, reason, traceback)
            if self.desk is not None and ticket is not None:
                self.desk.forget(ticket)
        else:
            delivery.ack()
            if self.desk is not None and ticket is not None:
                self.desk.settle(ticket)

    def _record(self, outcome: Outcome, delivery: Delivery, ticket: Ticket | None) -> None:
        assert self.recorder is not None
        desk = self.desk
        settle = None if desk is None or ticket is None else partial(desk.settle, ticket)
        self.recorder.add(outcome, delivery, settle)

    async def _put_aside(self, delivery: Delivery, reason: str, traceback: str = "") -> None:
        """To the dead letters, with the reason if the broker takes a copy that bears it."""
        self.counts["dead_lettered"] += 1
        log.error("event_dead_lettered", extra={"queue": delivery.queue, "message_id": delivery.message.message_id, "reason": reason})
        headers = {**fresh_headers(delivery.message.headers), HEADER_DEAD_REASON: reason[:_REASON_MAX]}
        if traceback:
            headers[HEADER_DEAD_TRACEBACK] = traceback
        try:
            await self.broker.publish(DEAD_LETTERS, delivery.queue, replace(delivery.message, headers=headers))
        except BrokerError:
            delivery.dead_letter()
        else:
            delivery.ack()


def _aside(arrival: Arrival, error: BaseException) -> bytes:
    """The result of an event that failed: why, and where."""
    failure = failure_of(error)
    reason = f"failed after {arrival.attempt} attempts: {type(error).__name__}: {failure.message}".replace("\0", " ")
    return _ASIDE + f"{reason}\0{failure.traceback or ''}".encode(errors="replace")


def _named(arrival: Arrival) -> dict[str, object]:
    return {"submission_id": arrival.submission_id, "event_id": arrival.event.id, "task": arrival.event.type, "role": arrival.role.value}
