"""What becomes of one delivery: run, tried again, parked, recorded, or put aside."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from dualrun.broker import Broker, Delivery
from dualrun.contracts import NotAnEvent, Role
from dualrun.contracts.topology import DEAD_LETTERS
from dualrun.errors import BrokerError
from event_handlers.arrival import Arrival, arrival_of
from event_handlers.attempt import Attempt, expired_outcome, make_attempt
from event_handlers.definition import Handler
from event_handlers.ladder import RetryLadder, fresh_headers
from event_handlers.publisher import EventPublisher
from event_handlers.recorder import Recorder

__all__ = ["HEADER_DEAD_REASON", "Processor"]

log = logging.getLogger(__name__)

HEADER_DEAD_REASON = "dualrun-dead-reason"
"""Why a message was put aside, on the message itself."""
_REASON_MAX = 500


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
    counts: Counter[str] = field(default_factory=Counter)
    """Deliveries by what became of them: handled, failed, retried, parked, expired, dead_lettered."""

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
        if arrival.is_expired(now):
            self._expire(delivery, arrival, now)
            return
        wait_s = arrival.wait_s(now)
        if wait_s > 0:
            await self.ladder.park(delivery.message, delivery.queue, wait_s)
            self.counts["parked"] += 1
            delivery.ack()
            return
        await self._conclude(delivery, handler, await make_attempt(handler, arrival, self.publisher))

    def _expire(self, delivery: Delivery, arrival: Arrival, now: datetime) -> None:
        self.counts["expired"] += 1
        log.info("event_expired", extra=_named(arrival))
        if self.recorder is not None and arrival.submission_id is not None:
            self.recorder.add(expired_outcome(arrival, arrival.submission_id, now), delivery)
        else:
            delivery.ack()

    async def _conclude(self, delivery: Delivery, handler: Handler, attempt: Attempt) -> None:
        arrival, error = attempt.arrival, attempt.error
        delay_s = None if error is None else handler.policy.next_delay_s(arrival.attempt, error)
        if delay_s is not None:
            log.info("event_retried", extra={**_named(arrival), "attempt": arrival.attempt, "delay_s": delay_s})
            await self.ladder.postpone(delivery.message, delivery.queue, delay_s, arrival.attempt + 1)
            self.counts["retried"] += 1
            delivery.ack()
            return
        self.counts["handled" if error is None else "failed"] += 1
        if error is not None:
            log.warning("event_failed", extra={**_named(arrival), "attempt": arrival.attempt, "error": type(error).__name__})
        if self.recorder is not None and arrival.submission_id is not None:
            self.recorder.add(attempt.outcome(arrival.submission_id), delivery)
        elif error is None:
            delivery.ack()
        else:
            await self._put_aside(delivery, f"failed after {arrival.attempt} attempts: {type(error).__name__}: {error}")

    async def _put_aside(self, delivery: Delivery, reason: str) -> None:
        """To the dead letters, with the reason if the broker takes a copy that bears it."""
        self.counts["dead_lettered"] += 1
        log.error("event_dead_lettered", extra={"queue": delivery.queue, "message_id": delivery.message.message_id, "reason": reason})
        headers = {**fresh_headers(delivery.message.headers), HEADER_DEAD_REASON: reason[:_REASON_MAX]}
        try:
            await self.broker.publish(DEAD_LETTERS, delivery.queue, replace(delivery.message, headers=headers))
        except BrokerError:
            delivery.dead_letter()
        else:
            delivery.ack()


def _named(arrival: Arrival) -> dict[str, object]:
    return {"submission_id": arrival.submission_id, "event_id": arrival.event.id, "task": arrival.event.type, "role": arrival.role.value}
