"""Settling a delivery: parked, tried again, recorded, answered, given back or put aside, and counted."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from dualrun.broker import Broker, Delivery
from dualrun.broker.headers import fresh_headers, started_headers
from dualrun.contracts import Failure, Outcome, Role, State, decode_records
from dualrun.contracts.topology import DEAD_LETTERS, HEADER_DEAD_REASON, HEADER_DEAD_TRACEBACK, HEADER_PUT_ASIDE
from dualrun.errors import BrokerError
from dualrun.inbox import RESULT_GIVEN_BACK, Claim, ClaimState, given_back_result
from event_handlers.arrival import Arrival
from event_handlers.attempt import Attempt, unrun_outcome
from event_handlers.claiming import ClaimDesk, Ticket
from event_handlers.definition import Handler
from event_handlers.ladder import Ladder
from event_handlers.payload import InvalidPayload
from event_handlers.policy import DoNotRetry, NotNow, failure_of
from event_handlers.recalling import Recalling
from event_handlers.recorder import Recorder, encode_outcome
from event_handlers.replying import encode_reply, send_reply

__all__ = ["INBOX_AWAY_S", "Settler"]

log = logging.getLogger(__name__)

INBOX_AWAY_S = 1.0
"""How long, at the least, what cannot do without the inbox waits for it."""
_REASON_MAX = 500
# What a stored result is: an outcome to record, a reason to put the message aside for, a reply to send, the recall to give it back by, or
# nothing more to do.
_OUTCOME, _ASIDE, _REPLY, _BACK, _NOTHING = b"o", b"a", b"r", RESULT_GIVEN_BACK, b""


@dataclass(slots=True, kw_only=True)
class Settler:
    """Does with each delivery of one lane what was decided, or what its attempt led to. The delivery itself is settled last."""

    role: Role
    """What the lane is for."""
    broker: Broker
    recorder: Recorder | None
    """None where submissions are not expected: everything is an ordinary event then."""
    ladder: Ladder
    desk: ClaimDesk | None = None
    """Where deliveries are claimed; None runs each, repeated or not."""
    recalling: Recalling | None = None
    """None runs what comes, whatever the flags say now."""
    counts: Counter[str] = field(default_factory=Counter)
    """Deliveries by what became of them: handled, failed, retried, deferred, parked, expired, revoked, dead_lettered, given_back. Of
    claims: repeated (done before, its outcome sent again), held (another has it: parked), superseded (a later attempt is on its way),
    unclaimed (run with the inbox away). And left (to the service it is for)."""
    seconds: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By type of event: attempts, and how long they took together."""

    async def park(self, delivery: Delivery, wait_s: float, why: str, *, has_begun: bool = False) -> None:
        """Have it come again in `wait_s`; `why` is what it counts as, and `has_begun` whether somebody may have started it."""
        message = delivery.message
        if has_begun:
            message = replace(message, headers=started_headers(message.headers))
        await self.ladder.park(message, delivery.queue, wait_s)
        self.counts[why] += 1
        delivery.ack()

    def leave_elsewhere(self, delivery: Delivery, arrival: Arrival) -> None:
        """Leave it to the service it is for."""
        self.counts["left"] += 1
        log.debug("event_left", extra={**_named(arrival), "service": arrival.service})
        delivery.ack()

    async def leave(self, delivery: Delivery, arrival: Arrival, claim: Claim, ticket: Ticket) -> None:
        """Do with a delivery that is not ours to run what its claim says."""
        if claim.state is ClaimState.DONE:
            self.counts["repeated"] += 1
            log.info("event_repeated", extra=_named(arrival))
            await self._hand_on(delivery, claim.result, ticket)
        elif claim.state is ClaimState.CANCELLED:
            self.end_unrun(delivery, arrival, State.REVOKED)
        elif claim.state is ClaimState.HELD:
            await self.park(delivery, claim.held_s, "held", has_begun=True)
        else:
            self.counts["superseded"] += 1
            delivery.ack()

    async def give_back(self, delivery: Delivery, recall: int, ticket: Ticket | None) -> None:
        """Have a gateway send it where it belongs. `recall` is the flag version that recalls it, 0 if none does any more."""
        result = given_back_result(recall)
        if self.desk is not None and ticket is not None and ticket.claim is not None:
            await self.desk.complete(ticket, result)
        await self._hand_on(delivery, result, ticket)

    def end_unrun(self, delivery: Delivery, arrival: Arrival, state: State) -> None:
        """End what came too late, or is not wanted any more."""
        self.counts[state.value] += 1
        log.info("event_not_run", extra={**_named(arrival), "state": state.value})
        if self.recorder is not None and arrival.submission_id is not None:
            self.recorder.add(unrun_outcome(arrival, arrival.submission_id, datetime.now(UTC), state), delivery)
        else:
            delivery.ack()

    async def conclude(self, delivery: Delivery, handler: Handler, attempt: Attempt, ticket: Ticket | None) -> None:
        """Do what the attempt led to: again later, or its end."""
        arrival, error = attempt.arrival, attempt.error
        attempts, spent_s = self.seconds.get(arrival.event.type, (0, 0.0))
        self.seconds[arrival.event.type] = attempts + 1, spent_s + attempt.elapsed_ms / 1e3
        if isinstance(error, NotNow):
            if self.desk is not None and ticket is not None:
                self.desk.release(ticket)
            log.info("event_deferred", extra={**_named(arrival), "delay_s": error.delay_s, "reason": str(error)})
            await self.park(delivery, error.delay_s, "deferred")
            return
        delay_s = None if error is None else handler.policy.next_delay_s(arrival.attempt, error)
        attempt.keep_answers(is_last=delay_s is None)
        if delay_s is not None:
            told = {**_named(arrival), "attempt": arrival.attempt, "delay_s": delay_s, "error": type(error).__name__}
            log.info("event_retried", extra=told)
            within_s = handler.policy.jittered_within_s(arrival.attempt, error)
            await self.ladder.postpone(delivery.message, delivery.queue, delay_s, arrival.attempt + 1, within_s)
            self.counts["retried"] += 1
            if self.desk is not None and ticket is not None:
                await self.desk.pass_on(ticket, arrival.attempt + 1)
            delivery.ack()
            return
        self.counts["handled" if error is None else "failed"] += 1
        if error is not None:
            told = {**_named(arrival), "attempt": arrival.attempt, "error": type(error).__name__}
            # A shadow's is in its outcome, where people compare it. Where a payload did not fit, or the handler itself said no, there is
            # nothing in its code to look for.
            is_plain = self.role is Role.SHADOW or isinstance(error, InvalidPayload | DoNotRetry)
            log.warning("event_failed", extra=told, exc_info=None if is_plain else error)
        if self.recorder is not None and arrival.submission_id is not None:
            outcome = attempt.outcome(arrival.submission_id)
            if self.desk is None or ticket is None:
                self.recorder.add(outcome, delivery)
                return
            await self._complete(self.desk, ticket, handler, _OUTCOME + encode_outcome(outcome))
            self._record(outcome, delivery, ticket)
            return
        if delivery.message.reply_to is not None:
            # Whoever asked is told of a failure, and decides: it is no dead letter.
            result = _REPLY + encode_reply(attempt.value, None if error is None else failure_of(error))
        else:
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
            await asyncio.sleep(INBOX_AWAY_S)

    async def _hand_on(self, delivery: Delivery, result: bytes, ticket: Ticket | None) -> None:
        """Do what a result asks for, at the end of an attempt or when its message comes again."""
        kind, content = result[:1], result[1:]
        if kind == _OUTCOME:
            (outcome,) = decode_records(b"[" + content + b"]")
            assert isinstance(outcome, Outcome)
            self._record(outcome, delivery, ticket)
        elif kind == _ASIDE:
            reason, _, traceback = content.decode().partition("\0")
            await self.put_aside(delivery, reason, traceback, was_handled=True)
            # Lost, this is made up for by the header: what is replayed is claimed as another piece of work.
            if self.desk is not None and ticket is not None:
                self.desk.forget(ticket)
        else:
            if kind == _REPLY:
                await send_reply(self.broker, delivery.message, content)
            elif kind == _BACK and self.recalling is not None:
                await self.recalling.give_back(delivery.message, int(content))
                self.counts["given_back"] += 1
            delivery.ack()
            if self.desk is not None and ticket is not None:
                self.desk.settle(ticket)

    def _record(self, outcome: Outcome, delivery: Delivery, ticket: Ticket | None) -> None:
        assert self.recorder is not None
        desk = self.desk
        settle = None if desk is None or ticket is None else partial(desk.settle, ticket)
        self.recorder.add(outcome, delivery, settle)

    async def put_aside_lost(self, desk: ClaimDesk, delivery: Delivery, ticket: Ticket, times: int) -> None:
        """To the dead letters what takes its worker down whenever it is run.

        The broker's count does not see to that: what is found held is parked, as a message that begins anew.
        """
        # Forgotten first: remembered, its replay would be put aside at once.
        if await desk.forgotten(ticket):
            await self.put_aside(delivery, f"the worker was lost while handling it {times} times")
        else:
            await self.park(delivery, INBOX_AWAY_S, "parked", has_begun=True)

    async def put_aside(self, delivery: Delivery, reason: str, traceback: str = "", *, was_handled: bool = False) -> None:
        """To the dead letters, with the reason if the broker takes a copy that bears it.

        `was_handled` says that its claim is done, and stands in the way of a replay.
        """
        self.counts["dead_lettered"] += 1
        log.error("event_dead_lettered", extra={"queue": delivery.queue, "message_id": delivery.message.message_id, "reason": reason})
        await send_reply(self.broker, delivery.message, encode_reply(None, Failure(kind="DeadLettered", message=reason)))
        headers = {**fresh_headers(delivery.message.headers), HEADER_DEAD_REASON: reason[:_REASON_MAX]}
        if traceback:
            headers[HEADER_DEAD_TRACEBACK] = traceback
        if was_handled:
            headers[HEADER_PUT_ASIDE] = str(int(str(headers.get(HEADER_PUT_ASIDE, "0"))) + 1)
        try:
            await self.broker.publish(DEAD_LETTERS, delivery.queue, replace(delivery.message, headers=headers))
        except BrokerError:
            delivery.dead_letter()
        else:
            delivery.ack()


def _aside(arrival: Arrival, error: BaseException) -> bytes:
    """The result of an event that failed: why, and where."""
    failure = failure_of(error)
    attempts = "1 attempt" if arrival.attempt == 1 else f"{arrival.attempt} attempts"
    reason = f"failed after {attempts}: {type(error).__name__}: {failure.message}".replace("\0", " ")
    return _ASIDE + f"{reason}\0{failure.traceback or ''}".encode(errors="replace")


def _named(arrival: Arrival) -> dict[str, object]:
    return {"submission_id": arrival.submission_id, "event_id": arrival.event.id, "task": arrival.event.type, "role": arrival.role.value}
